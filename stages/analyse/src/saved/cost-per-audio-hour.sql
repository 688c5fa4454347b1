SELECT
    stage,
    mode,
    sum(audio_seconds) / 3600 AS audio_hours,
    3600 * sum(processing_seconds) / sum(audio_seconds) AS processing_seconds_per_audio_hour
FROM stage_events
GROUP BY stage, mode
HAVING sum(audio_seconds) > 0
ORDER BY processing_seconds_per_audio_hour DESC
