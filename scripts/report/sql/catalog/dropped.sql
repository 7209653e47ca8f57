-- The pairs that did not pass the filter, of all sources, each with the `reason`.
SELECT * EXCLUDE (filename)
FROM files.dropped
