SELECT model, model_version, device, streams, audio_seconds / 3600 AS audio_hours, real_time_factor, batch_size
FROM models
ORDER BY audio_hours DESC
