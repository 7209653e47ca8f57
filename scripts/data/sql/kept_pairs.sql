-- The pairs that passed the filter, with their tokens, in the order of the standard pairs: wide rows are not sorted again.
SELECT standard.* EXCLUDE (defect, file_row_number), judged.* EXCLUDE (place, reason)
FROM standard
POSITIONAL JOIN (FROM judged_pairs ORDER BY place) AS judged
WHERE reason IS NULL;
