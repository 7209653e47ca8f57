-- What a shorter limit would cost: for the configured max_tokens and fractions of it, the pairs whose prompt and longer
-- response exceed it, and the share of all tokens that lie beyond it. Counted among the pairs with nothing else wrong.
WITH limits AS (
    SELECT unnest([CAST($max_tokens AS BIGINT), $max_tokens // 2, $max_tokens // 4, $max_tokens // 8]) AS max_tokens
)
SELECT
    coalesce(source, 'total') AS source,
    max_tokens,
    count(*) AS pairs,
    count(*) FILTER (sequence_tokens > max_tokens) AS pairs_over,
    round(100 * avg(CAST(sequence_tokens > max_tokens AS INTEGER)), 2) AS percent_pairs,
    round(100 * sum(greatest(0, sequence_tokens - max_tokens)) / greatest(sum(sequence_tokens), 1), 2) AS percent_tokens
FROM pairs
JOIN sources USING (source)
CROSS JOIN limits
GROUP BY GROUPING SETS ((source, max_tokens), (max_tokens))
ORDER BY GROUPING(source), any_value(position), max_tokens DESC
