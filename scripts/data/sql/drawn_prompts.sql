-- The prompts of one collection, each with its source; at most $cap of them, drawn by the seed.
SELECT coalesce(source, $name) AS source, prompt
FROM collection
QUALIFY
    $cap IS NULL
    OR row_number() OVER (ORDER BY draw($seed, 'cap:' || prompt_identity(prompt))) <= CAST($cap AS BIGINT);
