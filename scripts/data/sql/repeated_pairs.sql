-- A pair that the sources of a mix hold more than once; none when each source is named once.
SELECT pair_id, source, count(*) AS times
FROM preferences
GROUP BY pair_id, source
HAVING times > 1
ORDER BY pair_id
LIMIT 1;
