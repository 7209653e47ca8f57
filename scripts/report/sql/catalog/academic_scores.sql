-- What each policy scored on the academic benchmarks; a null value was not run, `not_run` says why.
SELECT split_part(filename, '/', -2) AS policy, * EXCLUDE (filename)
FROM files.academic_scores
