-- What became of the pairs read from each source: kept, or dropped for a reason; `percent` is of the pairs read.
WITH outcomes AS (
    SELECT source, 'kept' AS reason FROM preferences
    UNION ALL
    SELECT source, reason FROM dropped
)
SELECT
    source,
    reason,
    count(*) AS pairs,
    round(100 * count(*) / sum(count(*)) OVER (PARTITION BY source), 2) AS percent
FROM outcomes
JOIN sources USING (source)
GROUP BY sources.position, source, reason
ORDER BY sources.position, reason <> 'kept', pairs DESC, reason
