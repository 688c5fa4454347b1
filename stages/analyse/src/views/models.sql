SELECT
    model,
    model_version,
    device,
    min(event_time) AS first_used_at,
    max(event_time) AS last_used_at,
    count(DISTINCT stream_id) AS streams,
    sum(audio_seconds) AS audio_seconds,
    sum(processing_seconds) AS processing_seconds,
    CASE WHEN sum(processing_seconds) > 0 THEN sum(audio_seconds) / sum(processing_seconds) END AS real_time_factor,
    avg(batch_size) AS batch_size
FROM stage_events
WHERE model IS NOT NULL
GROUP BY model, model_version, device
