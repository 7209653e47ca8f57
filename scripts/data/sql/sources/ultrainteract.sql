-- UltraInteract (openbmb/UltraInteract_pair): a correct against an incorrect action after the path of a tree.
CREATE TABLE layout (trajectory STRUCT("from" VARCHAR, "value" VARCHAR)[], chosen VARCHAR, rejected VARCHAR);

WITH paths AS (
    SELECT
        list_transform(trajectory, lambda step: message(step."from", step."value")) AS prompt,
        chosen,
        rejected
    FROM raw
)
SELECT
    prompt,
    chosen,
    rejected,
    CAST(NULL AS DOUBLE) AS chosen_score,
    CAST(NULL AS DOUBLE) AS rejected_score,
    CASE
        WHEN prompt IS NULL OR has_null(contents(prompt)) THEN 'null_value'
        WHEN has_empty_round(prompt) THEN 'empty_round'
        WHEN NOT alternates(prompt, 'user') THEN 'roles_do_not_alternate'
    END AS defect
FROM paths;
