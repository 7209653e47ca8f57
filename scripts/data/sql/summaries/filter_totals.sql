-- What the filter left of each source and of all: pairs read, kept, dropped, and the percentage dropped; beside the total
-- the paper's "roughly 10%" (Appendix B.1).
WITH outcomes AS (
    SELECT source, true AS was_kept FROM preferences
    UNION ALL
    SELECT source, false FROM dropped
),
counted AS (
    SELECT
        coalesce(source, 'total') AS source,
        GROUPING(source) AS is_total,
        any_value(position) AS position,
        count(*) AS read,
        count(*) FILTER (was_kept) AS kept,
        count(*) FILTER (NOT was_kept) AS dropped
    FROM outcomes
    JOIN sources USING (source)
    GROUP BY ROLLUP (source)
)
SELECT
    source,
    read,
    kept,
    dropped,
    round(100 * dropped / read, 2) AS percent_dropped,
    CASE WHEN is_total = 1 THEN (SELECT "value" FROM paper WHERE "column" = 'dropped, %') END AS paper_percent
FROM counted
ORDER BY is_total, position
