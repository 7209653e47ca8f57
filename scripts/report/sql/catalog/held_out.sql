-- The rewards that each reward model gave to the pairs of its mix that were held out.
SELECT parse_filename(filename, true) AS reward_model, * EXCLUDE (filename)
FROM files.held_out
