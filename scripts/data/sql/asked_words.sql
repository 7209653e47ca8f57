-- The words of every turn of the user in the prompts, as digests.
WITH turns AS (
    SELECT prompt_id, unnest(questions(prompt)) AS turn
    FROM asked
)
SELECT prompt_id AS text_id, list_transform(words(turn.content), lambda word: hash(word)) AS words
FROM turns;
