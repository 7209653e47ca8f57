-- AlpacaEval: an instruction, the baseline's output and the baseline's name; its place in the list is its identity.
SELECT
    position::VARCHAR AS question_id,
    dataset AS category,
    [instruction] AS turns,
    NULL::VARCHAR[] AS "references",
    output AS baseline,
    generator AS baseline_model
FROM (FROM layout UNION ALL BY NAME FROM raw)
ORDER BY position
