-- Every standard pair with the reason why it must go, or none (App. B.1). The first reason that holds counts, in this
-- order: the adapter's defect, empty_round, same_response, too_long, small_margin, duplicate.
WITH judged AS (
    SELECT
        standard.* EXCLUDE defect,
        tokens.* EXCLUDE pair_id,
        CASE
            WHEN defect IS NOT NULL THEN defect
            WHEN has_empty_round(prompt) OR is_blank(chosen) OR is_blank(rejected) THEN 'empty_round'
            WHEN stripped(chosen) = stripped(rejected) THEN 'same_response'
            WHEN prompt_tokens + greatest(chosen_tokens, rejected_tokens) > $max_tokens THEN 'too_long'
            -- scores have one or two decimals: 4.1 - 3.6 is a margin of 0.5, though not in binary
            WHEN chosen_score - rejected_score < $minimum_margin - 1e-9 THEN 'small_margin'
        END AS reason
    FROM standard
    JOIN tokens USING (pair_id)
),
-- Only what has passed so far stands for its duplicates: a dropped twin must not take a good pair with it.
numbered AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY
                reason IS NULL,
                short_digest([
                    CAST(to_json(normalised_messages(prompt)) AS VARCHAR), normalised(chosen), normalised(rejected)
                ])
            ORDER BY pair_id, chosen_score, rejected_score
        ) AS occurrence
    FROM judged
)
SELECT
    * EXCLUDE (reason, occurrence),
    CASE WHEN reason IS NULL AND occurrence > 1 THEN 'duplicate' ELSE reason END AS reason
FROM numbered;
