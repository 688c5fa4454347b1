SELECT
    codec_in,
    count(*) AS streams,
    approx_percentile_cont(0.05) WITHIN GROUP (ORDER BY loudness_lufs) AS p5_lufs,
    approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY loudness_lufs) AS median_lufs,
    max(true_peak_dbtp) AS highest_peak_dbtp
FROM streams
WHERE loudness_lufs IS NOT NULL
GROUP BY codec_in
ORDER BY streams DESC
