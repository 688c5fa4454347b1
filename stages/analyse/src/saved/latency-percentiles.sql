SELECT
    date_trunc('hour', finished_at) AS hour,
    kind,
    count(*) AS streams,
    approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY end_to_end_latency_seconds) AS p50_seconds,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY end_to_end_latency_seconds) AS p95_seconds,
    approx_percentile_cont(0.99) WITHIN GROUP (ORDER BY end_to_end_latency_seconds) AS p99_seconds
FROM streams
WHERE status = 'finished' AND finished_at > now() - INTERVAL '1 day'
GROUP BY hour, kind
ORDER BY hour DESC, kind
