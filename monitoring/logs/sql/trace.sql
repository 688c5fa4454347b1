SELECT time, stage, instance, level, event, message, error_code, duration_seconds, topic, record_partition, record_offset
FROM logs
WHERE time > now() - INTERVAL '7 days' AND trace_id = '0af7651916cd43dd8448eb211c80319c'
ORDER BY time
