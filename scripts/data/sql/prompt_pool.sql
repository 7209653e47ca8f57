-- The pool of prompts: usable, and each there once.
SELECT prompt_id, source, prompt
FROM judged_prompts
WHERE reason IS NULL
ORDER BY prompt_id;
