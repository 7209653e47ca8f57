-- Table 5: for each data set its prompts, mean lengths in tokens over its pairs, who wrote, who judged, its pairs; then
-- the paper's figures, and by how many percent the study's differ from them. The total is over the sets of the paper.
WITH printed AS (
    PIVOT (FROM paper WHERE "table" = 'table5')
    ON "column" IN ('#Prompts', 'Prompt Len.', 'Preferred Len.', 'Rejected Len.', '#Pairs')
    USING first("value")
    GROUP BY "row"
),
measured AS (
    SELECT
        sources.*,
        count(DISTINCT prompt_id) AS prompts,
        avg(prompt_tokens) AS prompt_tokens,
        avg(chosen_tokens) AS chosen_tokens,
        avg(rejected_tokens) AS rejected_tokens,
        count(pair_id) AS pairs
    FROM sources
    LEFT JOIN preferences USING (source)
    GROUP BY ALL
),
compared AS (
    SELECT
        position,
        source,
        prompts,
        prompt_tokens,
        chosen_tokens,
        rejected_tokens,
        completion,
        annotator,
        pairs,
        table5 AS paper,
        CAST("#Prompts" AS BIGINT) AS paper_prompts,
        "Prompt Len." AS paper_prompt_tokens,
        "Preferred Len." AS paper_chosen_tokens,
        "Rejected Len." AS paper_rejected_tokens,
        CAST("#Pairs" AS BIGINT) AS paper_pairs
    FROM measured
    LEFT JOIN printed ON "row" = table5
),
with_total AS (
    FROM compared
    UNION ALL
    SELECT
        NULL AS position,
        'total' AS source,
        sum(prompts) AS prompts,
        sum(pairs * prompt_tokens) / sum(pairs) AS prompt_tokens,
        sum(pairs * chosen_tokens) / sum(pairs) AS chosen_tokens,
        sum(pairs * rejected_tokens) / sum(pairs) AS rejected_tokens,
        NULL AS completion,
        NULL AS annotator,
        sum(pairs) AS pairs,
        'Table 5' AS paper,
        sum(paper_prompts) AS paper_prompts,
        sum(paper_pairs * paper_prompt_tokens) / sum(paper_pairs) AS paper_prompt_tokens,
        sum(paper_pairs * paper_chosen_tokens) / sum(paper_pairs) AS paper_chosen_tokens,
        sum(paper_pairs * paper_rejected_tokens) / sum(paper_pairs) AS paper_rejected_tokens,
        sum(paper_pairs) AS paper_pairs
    FROM compared
    WHERE paper IS NOT NULL
    HAVING count(*) > 1
)
SELECT
    source,
    prompts,
    round(prompt_tokens, 1) AS prompt_tokens,
    round(chosen_tokens, 1) AS chosen_tokens,
    round(rejected_tokens, 1) AS rejected_tokens,
    completion,
    annotator,
    pairs,
    paper,
    paper_prompts,
    round(paper_prompt_tokens, 1) AS paper_prompt_tokens,
    round(paper_chosen_tokens, 1) AS paper_chosen_tokens,
    round(paper_rejected_tokens, 1) AS paper_rejected_tokens,
    paper_pairs,
    percent_above(prompts, paper_prompts) AS prompts_difference,
    percent_above(prompt_tokens, paper_prompt_tokens) AS prompt_tokens_difference,
    percent_above(chosen_tokens, paper_chosen_tokens) AS chosen_tokens_difference,
    percent_above(rejected_tokens, paper_rejected_tokens) AS rejected_tokens_difference,
    percent_above(pairs, paper_pairs) AS pairs_difference
FROM with_total
ORDER BY position NULLS LAST
