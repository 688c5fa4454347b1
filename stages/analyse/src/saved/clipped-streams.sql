SELECT stream_id, finished_at, samples_clipped, true_peak_dbtp, duration_seconds, codec_in, trace_id
FROM streams
WHERE samples_clipped > 0
ORDER BY samples_clipped DESC
LIMIT 20
