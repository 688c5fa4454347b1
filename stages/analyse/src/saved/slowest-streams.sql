SELECT stream_id, kind, end_to_end_latency_seconds, decode_seconds, upscale_seconds, encode_seconds,
    queue_wait_max_seconds, trace_id
FROM latency
WHERE finished_at > now() - INTERVAL '1 day'
ORDER BY end_to_end_latency_seconds DESC
LIMIT 20
