SELECT
    instance,
    stage,
    count(DISTINCT stream_id) AS streams,
    sum(audio_seconds) AS audio_seconds,
    sum(processing_seconds) AS processing_seconds,
    max(queue_wait_seconds) AS queue_wait_max_seconds
FROM stage_events
WHERE event_time > now() - INTERVAL '1 hour'
GROUP BY instance, stage
ORDER BY processing_seconds DESC
