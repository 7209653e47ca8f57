-- The held-out prompts; `split` tells those that choose the best iteration from those that compare policies.
SELECT prompt_id, source, prompt, set_name AS split
FROM placed_prompts
WHERE set_name IN ('validation', 'test')
ORDER BY prompt_id;
