-- How many pairs of each source the filter dropped, for which reason; `percent` is of the pairs that were read.
SELECT
    source,
    reason,
    count(*) AS pairs,
    round(100 * count(*) / any_value(read), 2) AS percent
FROM dropped
JOIN (SELECT source, count(*) AS read FROM standard GROUP BY source) USING (source)
GROUP BY source, reason
ORDER BY source, pairs DESC, reason;
