-- distinct-2: different pairs of neighbouring words among all such pairs of all answers; it falls when answers grow alike.
WITH words AS (
    SELECT regexp_extract_all(response, '\S+') AS word FROM answers
),
pairs AS (
    SELECT unnest(list_transform(range(1, len(word)), lambda i: word[i:i + 1])) AS pair FROM words
)
SELECT count(DISTINCT pair) / nullif(count(*), 0) AS distinct_pairs FROM pairs
