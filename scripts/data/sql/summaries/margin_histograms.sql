-- By how much the scores of a pair differ, where its source has scores: kept pairs, and those dropped for too small a
-- margin. Twenty bins of one width up to the 99th percentile of the source; the last one holds what lies beyond, too.
WITH margins AS (
    SELECT source, chosen_score - rejected_score AS margin, true AS was_kept FROM preferences
    UNION ALL
    SELECT source, chosen_score - rejected_score, false FROM dropped WHERE reason = 'small_margin'
),
scaled AS (
    SELECT source, margin, was_kept, quantile_disc(margin, 0.99) OVER (PARTITION BY source) / 20 AS width
    FROM margins
    WHERE margin IS NOT NULL
)
SELECT
    source,
    round(bin * any_value(width), 4) AS low,
    round((bin + 1) * any_value(width), 4) AS high,
    count(*) FILTER (was_kept) AS kept,
    count(*) FILTER (NOT was_kept) AS dropped
FROM (SELECT *, least(19, floor(margin / nullif(width, 0))) AS bin FROM scaled)
JOIN sources USING (source)
WHERE bin IS NOT NULL
GROUP BY position, source, bin
ORDER BY position, bin
