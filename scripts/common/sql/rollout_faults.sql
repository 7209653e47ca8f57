-- What is wrong with a set of rollouts: a row for each prompt or response at fault, the gravest kind first.
-- Expected: every response belongs to a prompt and is there once, with one reward; every prompt that was not
-- skipped for its length has as many responses as the prompt that has most.
-- Columns: rank of the fault, fault, file (null: the file that should hold it), position of the prompt, prompt_id,
-- actor, k, found (how many there are), expected.
WITH counted AS (
    SELECT prompt_id, position, count(response) AS found, any_value(filename) AS file
    FROM prompts LEFT JOIN responses USING (prompt_id)
    WHERE prompt_id NOT IN (FROM skipped)
    GROUP BY ALL
)
SELECT 1 AS rank, 'unknown prompt' AS fault, filename AS file, NULL AS position, prompt_id, actor, k,
       0 AS found, 1 AS expected
FROM responses ANTI JOIN prompts USING (prompt_id)
UNION ALL
SELECT 2, 'response given twice', max(filename), NULL, prompt_id, actor, k, count(*), 1
FROM responses GROUP BY prompt_id, actor, k HAVING count(*) > 1
UNION ALL
SELECT 3, 'too few responses', file, position, prompt_id, NULL, NULL, found, (SELECT max(found) FROM counted)
FROM counted WHERE found < (SELECT max(found) FROM counted) OR found = 0
UNION ALL
SELECT 4, 'reward given twice', max(filename), NULL, prompt_id, actor, k, count(*), 1
FROM rewards GROUP BY prompt_id, actor, k HAVING count(*) > 1
UNION ALL
SELECT 5, 'response without reward', filename, NULL, prompt_id, actor, k, 0, 1
FROM responses ANTI JOIN rewards USING (prompt_id, actor, k)
UNION ALL
SELECT 6, 'reward without response', filename, NULL, prompt_id, actor, k, 0, 1
FROM rewards ANTI JOIN responses USING (prompt_id, actor, k)
ORDER BY rank, position, prompt_id, actor, k
