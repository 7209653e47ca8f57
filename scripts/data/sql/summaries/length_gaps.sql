-- By how much chosen responses are longer than rejected ones, in tokens: what a reward model may learn in the place of
-- quality (Section 2.2, length bias). Shares are percentages of the kept pairs.
SELECT
    coalesce(source, 'total') AS source,
    count(*) AS pairs,
    round(100 * avg(CAST(chosen_tokens > rejected_tokens AS INTEGER)), 2) AS percent_chosen_longer,
    round(100 * avg(CAST(chosen_tokens < rejected_tokens AS INTEGER)), 2) AS percent_rejected_longer,
    round(avg(chosen_tokens - rejected_tokens), 2) AS mean_gap,
    quantile_disc(chosen_tokens - rejected_tokens, 0.1) AS p10_gap,
    quantile_disc(chosen_tokens - rejected_tokens, 0.5) AS p50_gap,
    quantile_disc(chosen_tokens - rejected_tokens, 0.9) AS p90_gap
FROM pairs
JOIN sources USING (source)
WHERE was_kept
GROUP BY ROLLUP (source)
ORDER BY GROUPING(source), any_value(position)
