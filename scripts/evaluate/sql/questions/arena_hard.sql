-- Arena-Hard v0.1: a turn each, compared with the baseline's answer, which is published in a file of its own.
SELECT
    asked.question_id,
    "cluster" AS category,
    [turn_text(turn) FOR turn IN turns] AS turns,
    NULL::VARCHAR[] AS "references",
    turn_text(answers.choices[1].turns[1]) AS baseline,
    answers.model_id AS baseline_model
FROM (FROM layout UNION ALL BY NAME FROM raw) AS asked
LEFT JOIN answers ON answers.question_id::VARCHAR = asked.question_id
ORDER BY position
