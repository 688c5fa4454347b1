SELECT component, instance, count(*) AS canaries, max(time) AS newest,
    max(date_part('epoch', kafka_timestamp) - date_part('epoch', time)) AS worst_seconds
FROM logs
WHERE time > now() - INTERVAL '1 hour' AND event = 'log_canary'
GROUP BY component, instance
ORDER BY newest
