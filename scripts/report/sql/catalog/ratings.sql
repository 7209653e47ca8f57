-- MT-Bench's ratings, 1 .. 10, of each turn; null: the judge gave none.
SELECT parse_filename(filename, true) AS policy, * EXCLUDE (filename)
FROM files.ratings
