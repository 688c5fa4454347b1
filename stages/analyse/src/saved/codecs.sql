SELECT
    codec_in,
    rate_in_hz,
    channels,
    count(*) AS streams,
    100.0 * count(*) FILTER (WHERE status = 'aborted') / count(*) AS aborted_percent,
    sum(duration_seconds) / 3600 AS audio_hours,
    sum(gaps) AS gaps
FROM streams
GROUP BY codec_in, rate_in_hz, channels
ORDER BY streams DESC
