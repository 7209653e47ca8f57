-- What each iteration gained and how far it drifted, a row a measure; `monitors` has the same beside the runs' limits.
SELECT
    parse_filename(filename, true) AS policy,
    run_of(policy) AS run,
    iteration_of(policy) AS iteration,
    * EXCLUDE (filename)
FROM files.policy_monitors
