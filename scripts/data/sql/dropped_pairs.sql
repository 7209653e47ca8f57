-- The pairs that did not pass the filter, each with its reason.
SELECT
    pair_id, source, prompt_id, prompt, chosen, rejected, chosen_score, rejected_score, reason
FROM judged_pairs
WHERE reason IS NOT NULL
ORDER BY pair_id, chosen_score, rejected_score, reason;
