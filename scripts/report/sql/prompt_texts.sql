-- The prompts of the map, each as one text; of a larger pool a sample: identities are digests, so the first are a draw.
SELECT source, array_to_string(list_transform(prompt, lambda turn: turn.content), e'\n') AS "text"
FROM prompts
ORDER BY prompt_id
LIMIT $most
