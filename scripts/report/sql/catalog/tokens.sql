-- The lengths of every pair that was read, in tokens of the base model.
SELECT parse_filename(filename, true) AS source, * EXCLUDE (filename)
FROM files.tokens
