SELECT
    codec_in,
    count(*) AS streams,
    100.0 * count(*) FILTER (WHERE bandwidth_before_hz >= 20000) / count(*) AS full_band_percent
FROM streams
WHERE status = 'finished' AND bandwidth_before_hz IS NOT NULL
GROUP BY codec_in
ORDER BY streams DESC
