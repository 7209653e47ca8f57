-- The prompts that nothing is wrong with by themselves, each once.
SELECT DISTINCT prompt_id, prompt
FROM read_prompts
WHERE reason IS NULL;
