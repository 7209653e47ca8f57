-- Distilabel-Orca (argilla/distilabel-intel-orca-dpo-pairs): two responses to an instruction of OpenOrca, `chosen` the
-- one that GPT-4 rated higher. There is no column for the other's score: it is the lower of the two ratings. Questions
-- of GSM8K's training set go, as the publisher advises.
CREATE TABLE layout (
    system VARCHAR,
    input VARCHAR,
    chosen VARCHAR,
    rejected VARCHAR,
    rating DOUBLE[],
    status VARCHAR,
    chosen_score DOUBLE,
    in_gsm8k_train BOOLEAN
);

WITH rated AS (
    SELECT * RENAME (chosen_score AS better_score), CAST(list_min(rating) AS DOUBLE) AS worse_score
    FROM raw
)
SELECT
    CASE
        WHEN coalesce(is_blank(system), true) THEN [message('user', input)]
        ELSE [message('system', system), message('user', input)]
    END AS prompt,
    chosen,
    rejected,
    CAST(better_score AS DOUBLE) AS chosen_score,
    worse_score AS rejected_score,
    CASE
        WHEN status = 'tie' THEN 'equal_score'
        WHEN status IS NULL
            OR in_gsm8k_train IS NULL
            OR len(rating) <> 2
            OR len(list_filter(rating, lambda score: NOT coalesce(isfinite(score), false))) > 0
            OR NOT coalesce(isfinite(better_score) AND isfinite(worse_score), false) THEN 'null_value'
        WHEN better_score < worse_score THEN 'contradicted_label'
        WHEN better_score = worse_score THEN 'equal_score'
        WHEN in_gsm8k_train THEN 'in_gsm8k_train'
    END AS defect
FROM rated;
