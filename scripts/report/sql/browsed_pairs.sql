-- Some pairs of one iteration, drawn by identity: the prompt as text, both responses, their rewards; long texts are cut.
WITH told AS (
    SELECT
        *,
        CASE
            WHEN len(prompt) = 1 THEN prompt[1].content
            ELSE array_to_string(list_transform(prompt, lambda turn: turn.role || ': ' || turn.content), e'\n\n')
        END AS asked
    FROM read_parquet($path)
)
SELECT
    left(asked, $characters) || CASE WHEN length(asked) > $characters THEN ' […]' ELSE '' END AS prompt,
    left(chosen, $characters) || CASE WHEN length(chosen) > $characters THEN ' […]' ELSE '' END AS chosen,
    left(rejected, $characters) || CASE WHEN length(rejected) > $characters THEN ' […]' ELSE '' END AS rejected,
    length(chosen) AS chosen_characters,
    length(rejected) AS rejected_characters,
    round(chosen_reward, 3) AS chosen_reward,
    round(rejected_reward, 3) AS rejected_reward,
    round(margin, 3) AS margin
FROM told
ORDER BY sha256($seed::VARCHAR || ':' || prompt_id)
LIMIT $share
