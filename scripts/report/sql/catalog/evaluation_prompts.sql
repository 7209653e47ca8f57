-- What the benchmarks ask, and no training prompt may hold.
SELECT * EXCLUDE (filename)
FROM files.evaluation_prompts
