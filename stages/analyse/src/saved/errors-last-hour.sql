SELECT error_type, stage, count(*) AS streams, max(at) AS latest_at, max(error_message) AS example
FROM errors
WHERE severity = 'fatal' AND at > now() - INTERVAL '1 hour'
GROUP BY error_type, stage
ORDER BY streams DESC, error_type
