SELECT component, target, attributes->>'place' AS place, sum(suppressed) AS missing, count(*) AS times
FROM logs
WHERE time > now() - INTERVAL '24 hours' AND suppressed > 0
GROUP BY component, target, place
ORDER BY missing DESC
