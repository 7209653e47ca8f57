-- What AlpacaEval's annotators prefer: 1 the baseline's output .. 2 the policy's; null: no verdict.
SELECT parse_filename(filename, true) AS policy, * EXCLUDE (filename)
FROM files.annotations
