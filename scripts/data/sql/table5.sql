-- Table 5: for each data set its prompts, mean lengths in tokens over its pairs, who wrote, who judged, its pairs.
SELECT
    sources.source,
    count(DISTINCT prompt_id) AS prompts,
    round(avg(prompt_tokens), 1) AS prompt_tokens,
    round(avg(chosen_tokens), 1) AS chosen_tokens,
    round(avg(rejected_tokens), 1) AS rejected_tokens,
    sources.completion,
    sources.annotator,
    count(pair_id) AS pairs
FROM sources
LEFT JOIN preferences USING (source)
GROUP BY sources.position, sources.source, sources.completion, sources.annotator
ORDER BY sources.position
