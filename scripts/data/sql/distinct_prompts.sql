-- The prompts that have passed so far, those that differ only in case and white space as one: the first of them.
SELECT
    CAST(prompt_digest AS VARCHAR) AS text_id,
    min_by(prompt, (source, prompt_id)) AS prompt,
    min((source, prompt_id)) AS precedence
FROM read_prompts
WHERE reason IS NULL AND prompt_id NOT IN (FROM contaminated)
GROUP BY prompt_digest;
