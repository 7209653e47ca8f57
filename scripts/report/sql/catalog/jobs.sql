-- What each job of a rule took when it last ran: seconds, CPU seconds, peak memory in MB. `job` has its wildcards.
SELECT
    regexp_extract(filename, '(?:.*/)?benchmarks/([^/.]+)', 1) AS rule,
    nullif(regexp_extract(filename, '(?:.*/)?benchmarks/[^/]+/(.*)\.tsv$', 1), '') AS job,
    s AS seconds,
    cpu_time AS cpu_seconds,
    max_rss AS peak_mb
FROM files.jobs
