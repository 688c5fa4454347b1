SELECT
    r.stream_id,
    r.event_time AS finished_at,
    r.status,
    CASE WHEN r.live THEN 'live' ELSE 'bulk' END AS kind,
    r.duration_seconds,
    r.end_to_end_latency_seconds,
    r.real_time_factor,
    e.decode_seconds,
    e.upscale_seconds,
    e.encode_seconds,
    e.queue_wait_max_seconds,
    r.trace_id
FROM stream_reports AS r
LEFT JOIN (
    SELECT
        stream_id,
        trace_id,
        sum(processing_seconds) FILTER (WHERE stage = 'decode') AS decode_seconds,
        sum(processing_seconds) FILTER (WHERE stage = 'upscale') AS upscale_seconds,
        sum(processing_seconds) FILTER (WHERE stage = 'encode') AS encode_seconds,
        max(queue_wait_seconds) AS queue_wait_max_seconds
    FROM stage_events
    GROUP BY stream_id, trace_id
) AS e ON e.stream_id = r.stream_id AND e.trace_id IS NOT DISTINCT FROM r.trace_id
