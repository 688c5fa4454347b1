SELECT source_topic, source_partition, error_type, count(*) AS failures, min(source_offset_first) AS first_offset,
    max(source_offset_last) AS last_offset
FROM errors
WHERE severity = 'fatal'
GROUP BY source_topic, source_partition, error_type
ORDER BY failures DESC
LIMIT 20
