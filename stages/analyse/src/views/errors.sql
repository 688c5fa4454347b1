SELECT
    event_time AS at,
    stream_id,
    stage,
    CASE WHEN error_type IS NULL THEN 'survived' ELSE 'fatal' END AS severity,
    coalesce(error_type, 'corrupt_packets') AS error_type,
    coalesce(error_message, concat(CAST(packets_skipped AS VARCHAR), ' corrupt packets were skipped')) AS error_message,
    packets_skipped,
    codec_in,
    instance,
    source_topic,
    source_partition,
    source_offset_first,
    source_offset_last,
    trace_id
FROM stage_events
WHERE error_type IS NOT NULL OR packets_skipped > 0
