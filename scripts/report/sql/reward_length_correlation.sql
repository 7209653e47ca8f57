-- For each prompt: the mean length of its responses in characters, and the Pearson correlation between reward and
-- length among them (Figure 3). The correlation is null where all rewards or all lengths of the prompt are equal.
SELECT
    prompt_id,
    count(*) AS responses,
    avg(length(response)) AS mean_characters,
    CASE
        WHEN min(reward) < max(reward) AND min(length(response)) < max(length(response))
        THEN corr(reward, length(response))
    END AS correlation
FROM responses
JOIN rewards USING (prompt_id, actor, k)
GROUP BY prompt_id
ORDER BY prompt_id
