-- Where the length penalty changed the chosen response: two runs that chose from the same responses by the same
-- rewards, one of them with a higher penalty. First those whose chosen response became shorter by the most.
WITH selections AS (
    SELECT
        parse_path(path)[-3] AS run,
        CAST(regexp_extract(path, 'iter(\d+)/pairs\.parquet$', 1) AS INTEGER) AS iteration,
        CAST(arguments ->> 'length_penalty' AS DOUBLE) AS length_penalty,
        [file FOR file IN inputs IF file.argument IN ('responses', 'rewards')] AS candidates
    FROM artifacts
    WHERE module = 'scripts.online.select_pairs'
)
SELECT
    without.run AS compared_with,
    penalised.run,
    penalised.iteration,
    penalised.length_penalty,
    after.prompt[-1].content AS question,
    length(before.chosen) - length(after.chosen) AS characters_saved,
    round(before.chosen_reward - after.chosen_reward, 3) AS reward_paid,
    before.chosen AS chosen_without,
    after.chosen
FROM selections AS penalised
JOIN selections AS without
    ON without.candidates = penalised.candidates AND without.length_penalty < penalised.length_penalty
JOIN pairs AS after ON after.run = penalised.run AND after.iteration = penalised.iteration
JOIN pairs AS before
    ON before.run = without.run AND before.iteration = without.iteration AND before.prompt_id = after.prompt_id
WHERE after.chosen <> before.chosen
ORDER BY characters_saved DESC, compared_with, penalised.run, penalised.iteration, after.prompt_id;
