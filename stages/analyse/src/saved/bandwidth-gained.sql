SELECT
    codec_in,
    rate_in_hz,
    count(*) AS streams,
    avg(bandwidth_before_hz) AS before_hz,
    avg(bandwidth_after_hz) AS after_hz,
    avg(bandwidth_after_hz - bandwidth_before_hz) AS gained_hz
FROM streams
WHERE status = 'finished' AND bandwidth_before_hz IS NOT NULL AND bandwidth_after_hz IS NOT NULL
GROUP BY codec_in, rate_in_hz
ORDER BY gained_hz DESC
