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
    conversation_defect(prompt, 'user') AS defect
FROM paths;
