-- Of each held-out pair that a model scored: the difference of scores and of characters, chosen minus rejected.
SELECT chosen_reward - rejected_reward AS margin, length(chosen) - length(rejected) AS gap
FROM scores JOIN mix USING (pair_id)
ORDER BY pair_id
