-- One set of prompts.
SELECT prompt_id, source, prompt
FROM placed_prompts
WHERE set_name = $set_name
ORDER BY prompt_id;
