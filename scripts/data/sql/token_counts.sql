-- The tokens of each pair, a row for each pair_id: the contents of the prompt's messages together, and each response.
-- A text that is missing has none.
WITH digests AS (
    SELECT
        pair_id,
        list_transform(contents(prompt), lambda content: md5(content)) AS messages,
        md5(chosen) AS chosen,
        md5(rejected) AS rejected
    FROM standard
),
pairs AS (
    SELECT DISTINCT ON (pair_id) * FROM digests
),
messages AS (
    SELECT pair_id, unnest(messages) AS text_id FROM pairs
),
prompts AS (
    SELECT pair_id, sum(tokens) AS tokens
    FROM messages
    JOIN lengths USING (text_id)
    GROUP BY pair_id
)
SELECT
    pairs.pair_id,
    CAST(coalesce(prompts.tokens, 0) AS INTEGER) AS prompt_tokens,
    CAST(coalesce(preferred.tokens, 0) AS INTEGER) AS chosen_tokens,
    CAST(coalesce(other.tokens, 0) AS INTEGER) AS rejected_tokens
FROM pairs
LEFT JOIN prompts USING (pair_id)
LEFT JOIN lengths AS preferred ON preferred.text_id = pairs.chosen
LEFT JOIN lengths AS other ON other.text_id = pairs.rejected
ORDER BY pairs.pair_id;
