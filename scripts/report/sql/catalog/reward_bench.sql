-- The rewards that each reward model gave to the two answers of RewardBench's prompts.
SELECT parse_filename(filename, true) AS reward_model, * EXCLUDE (filename)
FROM files.reward_bench
