-- Distilabel-Capybara (argilla/distilabel-capybara-dpo-7k-binarized): two rated dialogues of several turns that share
-- everything but the assistant's last turn.
CREATE TABLE layout (
    chosen STRUCT(role VARCHAR, content VARCHAR)[],
    rejected STRUCT(role VARCHAR, content VARCHAR)[],
    rating_chosen DOUBLE,
    rating_rejected DOUBLE
);

WITH dialogues AS (
    SELECT
        list_transform(chosen, lambda turn: message(turn.role, turn.content)) AS preferred,
        list_transform(rejected, lambda turn: message(turn.role, turn.content)) AS other,
        CAST(rating_chosen AS DOUBLE) AS preferred_score,
        CAST(rating_rejected AS DOUBLE) AS other_score
    FROM raw
)
SELECT
    preferred[:-2] AS prompt,
    preferred[-1].content AS chosen,
    other[-1].content AS rejected,
    preferred_score AS chosen_score,
    other_score AS rejected_score,
    CASE
        WHEN conversation_defect(preferred, 'assistant') IS NOT NULL THEN conversation_defect(preferred, 'assistant')
        WHEN conversation_defect(other, 'assistant') IS NOT NULL THEN conversation_defect(other, 'assistant')
        WHEN preferred[:-2] <> other[:-2] THEN 'contexts_differ'
        WHEN NOT coalesce(isfinite(preferred_score) AND isfinite(other_score), false) THEN 'null_value'
        WHEN preferred_score < other_score THEN 'contradicted_label'
        WHEN preferred_score = other_score THEN 'equal_score'
    END AS defect
FROM dialogues;
