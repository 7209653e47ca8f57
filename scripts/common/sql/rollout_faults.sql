-- What is wrong with a set of rollouts: a row for each prompt or response at fault, the gravest kind first.
-- Expected: every response belongs to a prompt and is there once, with one reward; in the folder of each policy every
-- prompt that was not skipped for its length has as many responses as the prompt that has most.
-- Columns: rank of the fault, fault, file (null: the file that should hold it), folder and position of the prompt that
-- has too few, prompt_id, actor, k, found (how many there are), expected.
WITH counted AS (
    SELECT folder, prompt_id, position, count(response) AS found, any_value(filename) AS file
    FROM prompts
    CROSS JOIN (SELECT DISTINCT folder FROM shards)
    LEFT JOIN (FROM responses JOIN shards USING (filename)) USING (prompt_id, folder)
    WHERE prompt_id NOT IN (FROM skipped)
    GROUP BY ALL
),
most AS (SELECT folder, max(found) AS expected FROM counted GROUP BY folder)
SELECT 1 AS rank, 'unknown prompt' AS fault, filename AS file, NULL AS folder, NULL AS position, prompt_id, actor, k,
       0 AS found, 1 AS expected
FROM responses ANTI JOIN prompts USING (prompt_id)
UNION ALL
SELECT 2, 'response given twice', max(filename), NULL, NULL, prompt_id, actor, k, count(*), 1
FROM responses GROUP BY prompt_id, actor, k HAVING count(*) > 1
UNION ALL
SELECT 3, 'too few responses', file, folder, position, prompt_id, NULL, NULL, found, expected
FROM counted JOIN most USING (folder) WHERE found < expected OR found = 0
UNION ALL
SELECT 4, 'reward given twice', max(filename), NULL, NULL, prompt_id, actor, k, count(*), 1
FROM rewards GROUP BY prompt_id, actor, k HAVING count(*) > 1
UNION ALL
SELECT 5, 'response without reward', filename, NULL, NULL, prompt_id, actor, k, 0, 1
FROM responses ANTI JOIN rewards USING (prompt_id, actor, k)
UNION ALL
SELECT 6, 'reward without response', filename, NULL, NULL, prompt_id, actor, k, 0, 1
FROM rewards ANTI JOIN responses USING (prompt_id, actor, k)
ORDER BY rank, position, folder, prompt_id, actor, k
