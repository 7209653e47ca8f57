-- The conversations that SFT can't use, each with the `reason`.
SELECT * EXCLUDE (filename)
FROM files.dropped_instructions
