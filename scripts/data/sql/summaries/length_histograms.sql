-- How many chosen and rejected responses of the kept pairs have how many tokens: from `low` to below `high`, in bins of
-- a quarter of a power of two, so that a histogram on a logarithmic axis has columns of one width.
WITH parts AS (
    SELECT source, chosen_tokens AS chosen, rejected_tokens AS rejected
    FROM pairs
    WHERE was_kept
),
lengths AS (
    UNPIVOT parts ON chosen, rejected INTO NAME part VALUE tokens
),
binned AS (
    SELECT source, part, floor(4 * log2(greatest(tokens, 1))) AS bin
    FROM lengths
)
SELECT source, part, round(pow(2, bin / 4), 3) AS low, round(pow(2, (bin + 1) / 4), 3) AS high, count(*) AS pairs
FROM binned
JOIN sources USING (source)
GROUP BY position, source, part, bin
ORDER BY position, part, bin
