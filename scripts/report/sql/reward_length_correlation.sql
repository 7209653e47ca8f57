-- For each prompt: how the rewards of its responses go with their length (Figure 3).
-- Columns: prompt_id; responses; mean_characters; mean_reward; Pearson correlations of reward with characters
-- (correlation) and with tokens (correlation_tokens); of gold with characters (gold_correlation) and with reward
-- (gold_reward_correlation). A correlation is null where one of its two is the same for all responses of the prompt;
-- those with gold are null throughout where there is none.
CREATE TEMP MACRO correlation(a, b) AS
    CASE WHEN min(a) < max(a) AND min(b) < max(b) THEN corr(a, b) END;

SELECT
    prompt_id,
    count(*) AS responses,
    avg(length(response)) AS mean_characters,
    avg(reward) AS mean_reward,
    correlation(reward, length(response)) AS correlation,
    correlation(reward, tokens) AS correlation_tokens,
    correlation(gold, length(response)) AS gold_correlation,
    correlation(gold, reward) AS gold_reward_correlation
FROM responses
JOIN rewards USING (prompt_id, actor, k)
LEFT JOIN (SELECT prompt_id, actor, k, reward AS gold FROM gold) USING (prompt_id, actor, k)
GROUP BY prompt_id
ORDER BY prompt_id
