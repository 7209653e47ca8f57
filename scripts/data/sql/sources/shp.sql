-- SHP (stanfordnlp/SHP): two comments on a post, by their votes; `labels` is 1 where A is preferred. As in the paper,
-- score ratio > 2 and at most 5 pairs a prompt (App. B.1). Which five it does not say: here the largest ratios, and of
-- equal ones those with the smallest digest, whatever the order of the file; rows that repeat a pair count once.
CREATE TABLE layout (
    history VARCHAR,
    human_ref_A VARCHAR,
    human_ref_B VARCHAR,
    score_A BIGINT,
    score_B BIGINT,
    labels BIGINT,
    score_ratio DOUBLE
);

WITH ordered AS (
    SELECT
        history,
        CASE WHEN labels = 1 THEN human_ref_A ELSE human_ref_B END AS chosen,
        CASE WHEN labels = 1 THEN human_ref_B ELSE human_ref_A END AS rejected,
        CAST(CASE WHEN labels = 1 THEN score_A ELSE score_B END AS DOUBLE) AS chosen_score,
        CAST(CASE WHEN labels = 1 THEN score_B ELSE score_A END AS DOUBLE) AS rejected_score,
        labels,
        score_ratio
    FROM raw
),
judged AS (
    SELECT
        *,
        CASE
            WHEN labels NOT IN (0, 1) THEN 'unparsable'
            WHEN history IS NULL
                OR chosen IS NULL
                OR rejected IS NULL
                OR chosen_score IS NULL
                OR rejected_score IS NULL
                OR labels IS NULL
                OR NOT coalesce(isfinite(score_ratio), false) THEN 'null_value'
            WHEN chosen_score < rejected_score THEN 'contradicted_label'
            WHEN chosen_score = rejected_score THEN 'equal_score'
            WHEN score_ratio <= 2 THEN 'low_score_ratio'
        END AS reason
    FROM ordered
),
ranked AS (
    SELECT
        *,
        dense_rank() OVER (
            PARTITION BY history, reason IS NULL
            ORDER BY score_ratio DESC, short_digest([chosen, rejected])
        ) AS place
    FROM judged
)
SELECT
    [message('user', history)] AS prompt,
    chosen,
    rejected,
    chosen_score,
    rejected_score,
    CASE WHEN reason IS NULL AND place > 5 THEN 'beyond_five_pairs' ELSE reason END AS defect
FROM ranked
ORDER BY ALL;
