SELECT date_bin(INTERVAL '5 minutes', time) AS step, avg(duration_seconds) AS avg_duration,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_seconds) AS p95_duration, count(*) AS count
FROM logs
WHERE time > now() - INTERVAL '1 hour' AND duration_seconds > 0
GROUP BY step
ORDER BY step
