-- Each policy's answers to the held-out prompts: reward, gold reward (null where a study has none), length, log-ratio.
SELECT
    parse_filename(filename, true) AS policy,
    run_of(policy) AS run,
    iteration_of(policy) AS iteration,
    * EXCLUDE (filename)
FROM files.measures
