-- HelpSteer (nvidia/HelpSteer): a row a response; all pairs of a prompt's responses, by (helpfulness + correctness) / 2.
CREATE TABLE layout (prompt VARCHAR, response VARCHAR, helpfulness BIGINT, correctness BIGINT);

WITH rated AS (
    SELECT prompt, {'response': response, 'score': (helpfulness + correctness) / 2} AS rated_response
    FROM raw
),
grouped AS (
    SELECT prompt, list(rated_response ORDER BY rated_response.response, rated_response.score) AS responses
    FROM rated
    WHERE prompt IS NOT NULL
    GROUP BY prompt
    UNION ALL  -- responses without a prompt have nothing in common: each stands alone
    SELECT prompt, [rated_response]
    FROM rated
    WHERE prompt IS NULL
    ORDER BY ALL
),
pairs AS (
    SELECT prompt, unnest(comparisons(responses)) AS pair
    FROM grouped
)
SELECT
    [message('user', prompt)] AS prompt,
    pair.*
FROM pairs;

WITH prompts AS (
    SELECT count(*) AS responses
    FROM raw
    WHERE prompt IS NOT NULL
    GROUP BY prompt
    UNION ALL
    SELECT 1
    FROM raw
    WHERE prompt IS NULL
)
SELECT coalesce(sum(number_of_comparisons(responses)), 0)
FROM prompts;
