-- The pairs that did not pass the filter, each with its reason, in the order of the standard pairs.
SELECT standard.* EXCLUDE (defect, file_row_number), judged.reason
FROM standard
POSITIONAL JOIN (FROM judged_pairs ORDER BY place) AS judged
WHERE reason IS NOT NULL;
