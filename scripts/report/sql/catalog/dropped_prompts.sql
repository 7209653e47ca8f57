-- The raw prompts that the pool does not take, each with the `reason`.
SELECT * EXCLUDE (filename)
FROM files.dropped_prompts
