-- The prompts of every set (`prompt_set`): the pool, one for each iteration, one for Figure 3, one held out.
SELECT parse_filename(filename, true) AS prompt_set, * EXCLUDE (filename)
FROM files.prompts
