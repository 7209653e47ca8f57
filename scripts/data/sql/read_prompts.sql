-- Every raw prompt with its identity, what is wrong with it by itself, and a digest that equal texts share.
SELECT
    source,
    prompt,
    prompt_identity(prompt) AS prompt_id,
    conversation_defect(prompt, 'user') AS reason,
    hash(squeezed_messages(prompt)) AS prompt_digest
FROM prompts;
