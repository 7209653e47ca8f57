-- Where the time went: the jobs of each rule, their seconds and share of all seconds, the slowest job, the peak memory.
SELECT
    rule,
    count(*) AS jobs,
    round(sum(seconds), 1) AS total_seconds,
    round(100 * sum(seconds) / sum(sum(seconds)) OVER (), 1) AS percent,
    round(max(seconds), 1) AS slowest_job,
    round(max(peak_mb)) AS peak_mb
FROM jobs
GROUP BY rule
ORDER BY total_seconds DESC, rule;
