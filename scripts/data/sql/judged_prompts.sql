-- Every raw prompt with the reason why the pool can't take it, or none. Of prompts that differ only in case and white
-- space the first stays, in the order of source and identity.
WITH judged AS (
    SELECT
        source,
        prompt,
        prompt_identity(prompt) AS prompt_id,
        conversation_defect(prompt, 'user') AS reason
    FROM prompts
),
numbered AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY reason IS NULL, normalised_messages(prompt)
            ORDER BY source, prompt_id
        ) AS occurrence
    FROM judged
)
SELECT
    prompt_id,
    source,
    prompt,
    CASE WHEN reason IS NULL AND occurrence > 1 THEN 'duplicate' ELSE reason END AS reason
FROM numbered;
