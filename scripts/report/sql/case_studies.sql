-- The test prompts on which the online policy's answer beats the offline policy's by most, and those on which it falls
-- behind by most, by the judge's score; $each of either kind. Prompts without a difference show nothing.
WITH compared AS (
    SELECT
        prompts.prompt_id,
        prompts.prompt,
        offline.response AS offline_response,
        online.response AS online_response,
        offline.score AS offline_score,
        online.score AS online_score,
        online.score - offline.score AS difference
    FROM offline
    JOIN online USING (prompt_id)
    JOIN prompts USING (prompt_id)
    WHERE online.score <> offline.score
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY difference > 0 ORDER BY abs(difference) DESC, prompt_id) AS place
    FROM compared
)
SELECT * EXCLUDE place
FROM ranked
WHERE place <= $each
ORDER BY difference > 0 DESC, place
