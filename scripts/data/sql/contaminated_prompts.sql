-- The prompts that hold an evaluation prompt: at least $overlap of its n-grams.
WITH sizes AS (
    SELECT text_id, count(*) AS grams
    FROM evaluation_grams
    GROUP BY text_id
),
shared AS (
    SELECT prompts.text_id AS prompt_id, evaluation_grams.text_id, count(DISTINCT gram) AS grams
    FROM shared_grams AS prompts
    JOIN evaluation_grams USING (gram)
    GROUP BY ALL
)
SELECT DISTINCT prompt_id
FROM shared
JOIN sizes USING (text_id)
WHERE shared.grams >= $overlap * sizes.grams;
