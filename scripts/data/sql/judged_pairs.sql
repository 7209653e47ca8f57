-- Every standard pair with the reason why it must go, or none (App. B.1), found with what it shares with other texts. The
-- first reason that holds counts, in this order: those of its own texts, contaminated, duplicate, near_duplicate.
WITH clean AS (
    SELECT
        * EXCLUDE reason,
        CASE WHEN reason IS NULL AND prompt_id IN (FROM contaminated) THEN 'contaminated' ELSE reason END AS reason
    FROM judged_texts
),
-- Only what has passed so far stands for its duplicates: a dropped twin must not take a good pair with it.
numbered AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY reason IS NULL, prompt_digest, chosen_digest, rejected_digest
            ORDER BY pair_id, chosen_score, rejected_score, place
        ) AS occurrence
    FROM clean
)
SELECT
    place,
    prompt_tokens,
    chosen_tokens,
    rejected_tokens,
    CASE
        WHEN reason IS NOT NULL THEN reason
        WHEN occurrence > 1 THEN 'duplicate'
        WHEN CAST(prompt_digest AS VARCHAR) IN (FROM near_duplicates) THEN 'near_duplicate'
    END AS reason
FROM numbered;
