SELECT
    date_bin(INTERVAL '5 minutes', event_time) AS five_minutes,
    stage,
    avg(processing_seconds) AS average_seconds,
    approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY processing_seconds) AS p95_seconds,
    count(*) AS commits
FROM stage_events
WHERE event_time > now() - INTERVAL '1 day'
GROUP BY five_minutes, stage
ORDER BY five_minutes DESC, stage
