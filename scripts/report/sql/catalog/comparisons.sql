-- The comparisons that preference models learn from: a pair of a mix as one text, and the label of the better response.
SELECT parse_filename(filename, true) AS mix, * EXCLUDE (filename)
FROM files.comparisons
