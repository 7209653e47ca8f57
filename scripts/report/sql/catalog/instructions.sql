-- The conversations that SFT trains on.
SELECT * EXCLUDE (filename)
FROM files.instructions
