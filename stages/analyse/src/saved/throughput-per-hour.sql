SELECT
    date_trunc('hour', finished_at) AS hour,
    count(*) AS streams,
    count(*) FILTER (WHERE status = 'aborted') AS aborted,
    sum(duration_seconds) / 3600 AS audio_hours,
    sum(bytes_out) / 1e6 AS megabytes_out
FROM streams
WHERE finished_at > now() - INTERVAL '7 days'
GROUP BY hour
ORDER BY hour DESC
