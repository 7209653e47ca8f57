-- The pairs that passed the filter, with their tokens.
SELECT * EXCLUDE reason
FROM judged_pairs
WHERE reason IS NULL
ORDER BY pair_id;
