-- Every raw prompt with the reason why the pool can't take it, or none. Of prompts that differ only in case and white
-- space, and of those that are nearly the same, the first stays, in the order of source and identity.
WITH clean AS (
    SELECT
        * EXCLUDE reason,
        CASE WHEN reason IS NULL AND prompt_id IN (FROM contaminated) THEN 'contaminated' ELSE reason END AS reason
    FROM read_prompts
),
numbered AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY reason IS NULL, prompt_digest ORDER BY source, prompt_id) AS occurrence
    FROM clean
)
SELECT
    prompt_id,
    source,
    prompt,
    CASE
        WHEN reason IS NOT NULL THEN reason
        WHEN occurrence > 1 THEN 'duplicate'
        WHEN CAST(prompt_digest AS VARCHAR) IN (FROM near_duplicates) THEN 'near_duplicate'
    END AS reason
FROM numbered;
