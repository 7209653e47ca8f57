-- MT-Bench as its authors publish it (question_id, turns) or as its copies on the hub have it (prompt_id, prompt). Judges
-- see references in three categories: those of the file of reference answers, or else those of the question itself.
SELECT
    coalesce(asked.question_id, prompt_id) AS question_id,
    category,
    coalesce(turns, prompt) AS turns,
    CASE
        WHEN category IN ('math', 'coding', 'reasoning')
        THEN coalesce([turn_text(turn) FOR turn IN choices[1].turns], nullif(reference, []))
    END AS "references",
    NULL::VARCHAR AS baseline,
    NULL::VARCHAR AS baseline_model
FROM (FROM layout UNION ALL BY NAME FROM no_turns UNION ALL BY NAME FROM raw) AS asked
LEFT JOIN answers ON answers.question_id::VARCHAR = coalesce(asked.question_id, prompt_id)
ORDER BY position
