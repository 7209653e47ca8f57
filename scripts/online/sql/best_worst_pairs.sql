-- For each prompt the best of its n responses against the worst (Section 3.2), ranked by the reward less a penalty on
-- length, r(x, a) - lambda * |a|, where |a| counts characters (Equation 9).
-- A response that was cut off is no candidate: training on it would teach a policy to end where none had ended.
-- Equal rewards are told apart by (actor, k), so that the same table comes from any number of shards.
-- Columns: those of the online pairs, and `dropped`: null for a pair, else why the prompt gives none.
WITH candidates AS (
    SELECT prompt_id, actor, k, response, reward, reward - $length_penalty * length(response) AS penalised
    FROM responses JOIN rewards USING (prompt_id, actor, k)
    WHERE finished
),
ranked AS (
    SELECT prompt_id,
           count(*) AS n,
           count(DISTINCT response) AS texts,
           first(candidates ORDER BY penalised DESC, actor, k) AS best,
           first(candidates ORDER BY penalised, actor, k) AS worst
    FROM candidates
    GROUP BY prompt_id
)
SELECT prompt_id,
       prompt,
       best.response AS chosen,
       worst.response AS rejected,
       best.reward AS chosen_reward,
       worst.reward AS rejected_reward,
       best.penalised - worst.penalised AS margin,
       CASE
           WHEN prompt_id IN (FROM skipped) THEN 'prompt too long'
           WHEN n IS NULL OR n < 2 THEN 'fewer than two finished'
           WHEN best.penalised = worst.penalised AND texts > 1 THEN 'equal reward'
           WHEN best.response = worst.response THEN 'same text'
       END AS dropped
FROM prompts LEFT JOIN ranked USING (prompt_id)
ORDER BY position
