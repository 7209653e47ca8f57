-- How many pairs the filter dropped for each reason; the reason null counts those it kept.
SELECT reason, count(*) AS pairs
FROM judged_pairs
GROUP BY reason
ORDER BY reason NULLS FIRST;
