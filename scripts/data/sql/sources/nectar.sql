-- Nectar (berkeley-nest/Nectar): the answer ranked best against the one ranked worst, after a dialogue that ends with
-- the assistant's open turn.
CREATE TABLE layout (prompt VARCHAR, answers STRUCT(answer VARCHAR, rank DOUBLE)[]);

WITH dialogues AS (
    SELECT
        prompt AS dialogue,
        turns(prompt) AS said,
        answers,
        list_transform(answers, lambda ranked: ranked.rank) AS ranks
    FROM raw
),
extremes AS (
    SELECT
        *,
        list_filter(answers, lambda ranked: ranked.rank = list_min(ranks))[1].answer AS best,
        list_filter(answers, lambda ranked: ranked.rank = list_max(ranks))[1].answer AS worst
    FROM dialogues
)
SELECT
    said[:-2] AS prompt,
    best AS chosen,
    worst AS rejected,
    CAST(NULL AS DOUBLE) AS chosen_score,
    CAST(NULL AS DOUBLE) AS rejected_score,
    CASE
        WHEN dialogue IS NULL OR answers IS NULL OR has_null(ranks) THEN 'null_value'
        WHEN NOT opens_with_a_turn(dialogue) THEN 'unparsable'
        WHEN said[-1] <> message('assistant', '') THEN 'unparsable'
        WHEN conversation_defect(said[:-2], 'user') IS NOT NULL THEN conversation_defect(said[:-2], 'user')
        WHEN len(answers) < 2 THEN 'single_response'
        WHEN list_min(ranks) = list_max(ranks) THEN 'equal_score'
    END AS defect
FROM extremes;
