SELECT client_ip, count(*) AS count
FROM logs
WHERE time > now() - INTERVAL '1 hour' AND message ILIKE '%authentication failed%'
GROUP BY client_ip
ORDER BY count DESC, client_ip
