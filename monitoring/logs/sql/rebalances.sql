SELECT stage, date_bin(INTERVAL '5 minutes', time) AS step, count(*) AS rebalances, approx_distinct(instance) AS members
FROM logs
WHERE time > now() - INTERVAL '1 hour' AND event = 'rebalanced'
GROUP BY stage, step
ORDER BY step, stage
