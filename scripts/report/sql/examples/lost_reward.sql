-- The held-out prompts on which the last iteration of a run lost reward against the one before, greatest loss first.
SELECT
    later.run,
    later.iteration,
    prompt[-1].content AS question,
    round(earlier.reward - later.reward, 3) AS lost,
    round(earlier.gold - later.gold, 3) AS lost_gold,
    earlier.response AS response_before,
    later.response
FROM measures AS later
JOIN measures AS earlier
    ON earlier.prompt_id = later.prompt_id AND earlier.run = later.run AND earlier.iteration = later.iteration - 1
JOIN prompts ON prompts.prompt_id = later.prompt_id AND prompt_set = 'held_out'
WHERE later.iteration = (SELECT max(iteration) FROM measures WHERE run = later.run)
    AND later.reward < earlier.reward
ORDER BY earlier.reward - later.reward DESC, later.run, later.prompt_id;
