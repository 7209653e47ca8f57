-- How many raw prompts were dropped for each reason; the reason null counts those in the pool.
SELECT reason, count(*) AS prompts
FROM judged_prompts
GROUP BY reason
ORDER BY reason NULLS FIRST;
