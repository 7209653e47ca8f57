-- The authors' standard format (RLHFlow/*-standard): two dialogues that share everything but the assistant's last turn,
-- with scores that are numbers in some sets, text in others and null in those that have none, and that one set calls
-- ratings: no type is demanded.
CREATE TABLE layout (
    chosen STRUCT(role VARCHAR, content VARCHAR)[],
    rejected STRUCT(role VARCHAR, content VARCHAR)[]
);

WITH dialogues AS (
    SELECT
        list_transform(chosen, lambda turn: message(turn.role, turn.content)) AS preferred,
        list_transform(rejected, lambda turn: message(turn.role, turn.content)) AS other,
        CAST(coalesce(*COLUMNS('^chosen_(score|rating)$')) AS VARCHAR) AS preferred_rating,
        CAST(coalesce(*COLUMNS('^rejected_(score|rating)$')) AS VARCHAR) AS other_rating
    FROM raw
),
scored AS (
    SELECT
        *,
        TRY_CAST(preferred_rating AS DOUBLE) AS preferred_score,
        TRY_CAST(other_rating AS DOUBLE) AS other_score
    FROM dialogues
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
        WHEN preferred_rating IS NULL AND other_rating IS NULL THEN NULL  -- a set without scores
        WHEN NOT coalesce(isfinite(preferred_score) AND isfinite(other_score), false) THEN 'null_value'
        WHEN preferred_score < other_score THEN 'contradicted_label'
        WHEN preferred_score = other_score THEN 'equal_score'
    END AS defect
FROM scored;
