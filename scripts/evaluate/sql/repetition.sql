-- For each answer the share of its four-word sequences that it has said before (0 where it has fewer than four words):
-- a policy that has collapsed says the same thing again and again.
WITH words AS (
    SELECT prompt_id, regexp_extract_all(response, '\S+') AS word FROM answers
),
sequences AS (
    SELECT prompt_id, list_transform(range(1, len(word) - 2), lambda i: word[i:i + 3]) AS sequence FROM words
)
SELECT prompt_id, coalesce(1 - len(list_distinct(sequence)) / nullif(len(sequence), 0), 0) AS repetition
FROM sequences
ORDER BY prompt_id
