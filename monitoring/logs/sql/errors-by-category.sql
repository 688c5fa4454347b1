SELECT error_category, count(*) AS count
FROM logs
WHERE time > now() - INTERVAL '1 hour' AND level = 'ERROR'
GROUP BY error_category
ORDER BY count DESC, error_category
