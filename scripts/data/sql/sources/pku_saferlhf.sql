-- PKU-SafeRLHF-30K: helpfulness decides between two safe responses, safety in every other case.
CREATE TABLE layout (
    prompt VARCHAR,
    response_0 VARCHAR,
    response_1 VARCHAR,
    is_response_0_safe BOOLEAN,
    is_response_1_safe BOOLEAN,
    better_response_id BIGINT,
    safer_response_id BIGINT
);

WITH labelled AS (
    SELECT
        *,
        CASE WHEN is_response_0_safe AND is_response_1_safe THEN better_response_id ELSE safer_response_id END AS winner
    FROM raw
)
SELECT
    [message('user', prompt)] AS prompt,
    CASE WHEN winner = 1 THEN response_1 ELSE response_0 END AS chosen,
    CASE WHEN winner = 1 THEN response_0 ELSE response_1 END AS rejected,
    CAST(NULL AS DOUBLE) AS chosen_score,
    CAST(NULL AS DOUBLE) AS rejected_score,
    CASE
        WHEN is_response_0_safe IS NULL
            OR is_response_1_safe IS NULL
            OR better_response_id IS NULL
            OR safer_response_id IS NULL THEN 'null_value'
        WHEN winner NOT IN (0, 1) THEN 'unparsable'
        WHEN safer_response_id = 0 AND NOT is_response_0_safe AND is_response_1_safe THEN 'contradicted_label'
        WHEN safer_response_id = 1 AND NOT is_response_1_safe AND is_response_0_safe THEN 'contradicted_label'
    END AS defect
FROM labelled;
