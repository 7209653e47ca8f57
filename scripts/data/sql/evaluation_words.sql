-- The words of every evaluation prompt, as digests.
SELECT
    CAST(row_number() OVER () AS VARCHAR) AS text_id,
    list_transform(words(prompt), lambda word: hash(word)) AS words
FROM evaluation_prompts;
