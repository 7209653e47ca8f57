-- The lengths of the pairs with which nothing is wrong but, perhaps, that they are too long; `sequence_tokens` is the
-- prompt with the longer response.
SELECT
    *,
    prompt_tokens + greatest(chosen_tokens, rejected_tokens) AS sequence_tokens
FROM (
    SELECT source, prompt_tokens, chosen_tokens, rejected_tokens, true AS was_kept
    FROM preferences
    UNION ALL
    SELECT source, prompt_tokens, chosen_tokens, rejected_tokens, false
    FROM dropped
    JOIN tokens USING (pair_id)
    WHERE reason = 'too_long'
);
