SELECT attributes->>'group' AS group_id, attributes->>'before' AS before, attributes->>'state' AS now_in, count(*) AS changes, max(time) AS last
FROM logs
WHERE time > now() - INTERVAL '24 hours' AND event = 'group_state_changed'
GROUP BY group_id, before, now_in
ORDER BY group_id, changes DESC, before
