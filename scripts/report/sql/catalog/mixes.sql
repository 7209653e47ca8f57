-- The pairs of every mix; `split` tells those for training from those held out.
SELECT parse_filename(filename, true) AS mix, * EXCLUDE (filename)
FROM files.mixes
