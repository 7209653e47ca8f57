-- The raw prompts that the pool does not take, each with its reason.
SELECT prompt_id, source, prompt, reason
FROM judged_prompts
WHERE reason IS NOT NULL
ORDER BY prompt_id, source, reason;
