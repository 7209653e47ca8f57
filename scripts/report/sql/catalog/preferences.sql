-- The pairs that passed the filter, of all sources.
SELECT * EXCLUDE (filename)
FROM files.preferences
