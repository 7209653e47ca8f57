-- Each policy's answers to the questions of the chat benchmarks, a row a turn; null: the question was too long for it.
SELECT parse_path(filename)[-3] AS benchmark, parse_filename(filename, true) AS policy, * EXCLUDE (filename)
FROM files.answers
