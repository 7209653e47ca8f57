-- Arena-Hard's games, two a question with the answers swapped; null: no verdict.
SELECT parse_filename(filename, true) AS policy, * EXCLUDE (filename)
FROM files.games
