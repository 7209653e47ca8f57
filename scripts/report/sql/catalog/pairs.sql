-- The pairs of best and worst responses that each iteration of a run was trained on.
SELECT
    parse_path(filename)[-3] AS run,
    CAST(regexp_extract(parse_path(filename)[-2], '^iter(\d+)$', 1) AS INTEGER) AS iteration,
    * EXCLUDE (filename)
FROM files.pairs
