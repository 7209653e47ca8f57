-- HH-RLHF (Anthropic/hh-rlhf): two dialogues that share everything but the assistant's last turn.
CREATE TABLE layout (chosen VARCHAR, rejected VARCHAR);

WITH dialogues AS (
    SELECT chosen AS chosen_text, rejected AS rejected_text, turns(chosen) AS preferred, turns(rejected) AS other
    FROM raw
)
SELECT
    preferred[:-2] AS prompt,
    preferred[-1].content AS chosen,
    other[-1].content AS rejected,
    CAST(NULL AS DOUBLE) AS chosen_score,
    CAST(NULL AS DOUBLE) AS rejected_score,
    CASE
        WHEN chosen_text IS NULL OR rejected_text IS NULL THEN 'null_value'
        WHEN NOT (opens_with_a_turn(chosen_text) AND opens_with_a_turn(rejected_text)) THEN 'unparsable'
        WHEN has_empty_round(preferred) OR has_empty_round(other) THEN 'empty_round'
        WHEN NOT (alternates(preferred, 'assistant') AND alternates(other, 'assistant')) THEN 'roles_do_not_alternate'
        WHEN preferred[:-2] <> other[:-2] THEN 'contexts_differ'
    END AS defect
FROM dialogues;
