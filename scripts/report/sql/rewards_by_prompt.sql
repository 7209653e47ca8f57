-- For each prompt that has all its responses: their rewards by the proxy and by gold, and their characters, as lists in
-- one order. Prompts with fewer responses than others are left out.
SELECT
    list(proxy.reward ORDER BY actor, k) AS proxy,
    list(gold.reward ORDER BY actor, k) AS gold,
    list(length(response) ORDER BY actor, k) AS characters
FROM responses
JOIN rewards AS proxy USING (prompt_id, actor, k)
JOIN gold USING (prompt_id, actor, k)
GROUP BY prompt_id
QUALIFY count(*) = max(count(*)) OVER ()
ORDER BY prompt_id
