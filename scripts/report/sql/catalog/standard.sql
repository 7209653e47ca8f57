-- Every pair that was read from a source of preferences, before the filter; `defect` says why the filter must drop it.
SELECT * EXCLUDE (filename)
FROM files.standard
