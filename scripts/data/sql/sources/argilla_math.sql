-- Argilla-Math (argilla/distilabel-math-preference-dpo): two rated responses to a mathematical instruction.
CREATE TABLE layout (
    instruction VARCHAR,
    chosen_response VARCHAR,
    chosen_rating DOUBLE,
    rejected_response VARCHAR,
    rejected_rating DOUBLE
);

SELECT
    [message('user', instruction)] AS prompt,
    chosen_response AS chosen,
    rejected_response AS rejected,
    CAST(chosen_rating AS DOUBLE) AS chosen_score,
    CAST(rejected_rating AS DOUBLE) AS rejected_score,
    CASE
        WHEN NOT coalesce(isfinite(chosen_rating) AND isfinite(rejected_rating), false) THEN 'null_value'
        WHEN chosen_rating < rejected_rating THEN 'contradicted_label'
        WHEN chosen_rating = rejected_rating THEN 'equal_score'
    END AS defect
FROM raw;
