-- What the texts of each standard pair say by themselves: the reason why it must go, or none, in the order of App. B.1,
-- and digests that equal texts share. This one scan reads the texts; all that follows works on a narrow table.
WITH digested AS (
    SELECT
        *,
        hash(squeezed_messages(prompt)) AS prompt_digest,
        hash(squeezed(chosen)) AS chosen_digest,
        hash(squeezed(rejected)) AS rejected_digest
    FROM standard
)
SELECT
    file_row_number AS place,
    digested.pair_id,
    prompt_id,
    chosen_score,
    rejected_score,
    prompt_tokens,
    chosen_tokens,
    rejected_tokens,
    CASE
        WHEN defect IS NOT NULL THEN defect
        WHEN has_empty_round(prompt) OR is_blank(chosen) OR is_blank(rejected) THEN 'empty_round'
        WHEN chosen_digest = rejected_digest AND stripped(chosen) = stripped(rejected) THEN 'same_response'
        WHEN prompt_tokens + greatest(chosen_tokens, rejected_tokens) > $max_tokens THEN 'too_long'
        -- scores have one or two decimals: 4.1 - 3.6 is a margin of 0.5, though not in binary
        WHEN chosen_score - rejected_score < $minimum_margin - 1e-9 THEN 'small_margin'
    END AS reason,
    prompt_digest,
    chosen_digest,
    rejected_digest
FROM digested
JOIN tokens USING (pair_id);
