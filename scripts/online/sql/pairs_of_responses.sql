-- For each prompt the two of its n responses that a strategy pairs (Section 3.3), the better one chosen, by the reward
-- less a penalty on length, r(x, a) - lambda * |a|, where |a| counts characters (Equation 9).
--   best_worst    the best against the worst: the paper's choice
--   best_random   the best against one of the others, drawn
--   best_second   the best against the next
--   random        two of them, drawn
-- A response that was cut off is no candidate: training on it would teach a policy to end where none had ended.
-- Equal rewards are told apart by (actor, k), and a draw depends on (seed, prompt, actor, k) alone, so that the same
-- table comes from any number of shards.
-- Columns: those of the online pairs, and `dropped`: null for a pair, else why the prompt gives none.
WITH candidates AS (
    SELECT prompt_id, actor, k, response, reward,
           reward - $length_penalty * length(response) AS penalised,
           sha256(concat_ws(':', $seed, prompt_id, actor, k)) AS draw
    FROM responses JOIN rewards USING (prompt_id, actor, k)
    WHERE finished
),
placed AS (
    SELECT *,
           row_number() OVER (PARTITION BY prompt_id ORDER BY penalised DESC, actor, k) AS from_best,
           row_number() OVER (PARTITION BY prompt_id ORDER BY penalised, actor, k) AS from_worst,
           row_number() OVER (PARTITION BY prompt_id ORDER BY draw) AS drawn
    FROM candidates
),
picked AS (
    SELECT prompt_id,
           count(*) AS n,
           CASE $strategy
               WHEN 'random' THEN first(placed ORDER BY drawn)
               ELSE first(placed ORDER BY from_best)
           END AS one,
           CASE $strategy
               WHEN 'best_worst' THEN first(placed ORDER BY from_worst) FILTER (from_best > 1)
               WHEN 'best_random' THEN first(placed ORDER BY drawn) FILTER (from_best > 1)
               WHEN 'best_second' THEN first(placed ORDER BY from_best) FILTER (from_best = 2)
               WHEN 'random' THEN first(placed ORDER BY drawn) FILTER (drawn = 2)
           END AS other
    FROM placed
    GROUP BY prompt_id
),
compared AS (
    SELECT prompt_id, n,
           CASE WHEN one.penalised >= other.penalised THEN one ELSE other END AS better,
           CASE WHEN one.penalised >= other.penalised THEN other ELSE one END AS worse
    FROM picked
)
SELECT prompt_id,
       prompt,
       better.response AS chosen,
       worse.response AS rejected,
       better.actor AS chosen_actor,
       worse.actor AS rejected_actor,
       better.reward AS chosen_reward,
       worse.reward AS rejected_reward,
       better.penalised - worse.penalised AS margin,
       CASE
           WHEN prompt_id IN (FROM skipped) THEN 'prompt too long'
           WHEN n IS NULL OR n < 2 THEN 'fewer than two finished'
           WHEN better.response = worse.response THEN 'same text'
           WHEN better.penalised = worse.penalised THEN 'equal reward'
           WHEN better.penalised - worse.penalised < $minimum_margin THEN 'margin below the minimum'
       END AS dropped
FROM prompts LEFT JOIN compared USING (prompt_id)
ORDER BY position
