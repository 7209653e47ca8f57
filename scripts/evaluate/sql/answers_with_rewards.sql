-- The answers of a policy with their rewards, in the order of the prompts, each with the split its prompt belongs to.
SELECT prompt_id, prompts.prompt, split, response, length(response)::INTEGER AS characters, tokens, finished, reward
FROM prompts
JOIN responses USING (prompt_id)
JOIN rewards USING (prompt_id, actor, k)
ORDER BY prompts.position, actor, k
