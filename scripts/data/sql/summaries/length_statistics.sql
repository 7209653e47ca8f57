-- How long the kept pairs are, in tokens of the base model: mean, percentiles and maximum of the prompt, of each
-- response, and of the longer sequence that a pair is trained as (the prompt with its longer response).
WITH parts AS (
    SELECT source, prompt_tokens AS prompt, chosen_tokens AS chosen, rejected_tokens AS rejected, sequence_tokens AS sequence
    FROM pairs
    WHERE was_kept
),
lengths AS (
    UNPIVOT parts ON prompt, chosen, rejected, sequence INTO NAME part VALUE tokens
)
SELECT
    source,
    part,
    count(*) AS pairs,
    round(avg(tokens), 1) AS mean,
    quantile_disc(tokens, 0.5) AS p50,
    quantile_disc(tokens, 0.9) AS p90,
    quantile_disc(tokens, 0.99) AS p99,
    max(tokens) AS longest
FROM lengths
JOIN sources USING (source)
GROUP BY position, source, part
ORDER BY position, list_position(['prompt', 'chosen', 'rejected', 'sequence'], part)
