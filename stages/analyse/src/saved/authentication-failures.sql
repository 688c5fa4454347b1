SELECT client, protocol, count(*) AS refused, count(DISTINCT name) AS names, max(at) AS latest_at
FROM system.logins
WHERE outcome = 'denied'
GROUP BY client, protocol
ORDER BY refused DESC, client
