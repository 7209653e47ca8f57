-- The words of every prompt, all turns together, as digests.
SELECT
    text_id,
    list_transform(
        flatten(list_transform(prompt, lambda turn: words(turn.content))), lambda word: hash(word)
    ) AS words
FROM distinct_prompts
ORDER BY precedence;
