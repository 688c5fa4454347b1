SELECT stage, error_code, error_category, count(*) AS letters, max(time) AS last
FROM logs
WHERE time > now() - INTERVAL '24 hours' AND event = 'dead_letter'
GROUP BY stage, error_code, error_category
ORDER BY letters DESC, stage, error_code
