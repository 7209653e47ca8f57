-- UltraFeedback (openbmb/UltraFeedback): all pairs of a prompt's completions, by their fine-grained score.
CREATE TABLE layout (
    instruction VARCHAR,
    completions STRUCT(response VARCHAR, "fine-grained_score" DOUBLE)[]
);

WITH rated AS (
    SELECT
        instruction,
        list_transform(
            completions, lambda completion: {'response': completion.response, 'score': completion."fine-grained_score"}
        ) AS responses
    FROM raw
),
pairs AS (
    SELECT instruction, unnest(comparisons(responses)) AS pair
    FROM rated
)
SELECT
    [message('user', instruction)] AS prompt,
    pair.*
FROM pairs;

SELECT coalesce(sum(number_of_comparisons(len(completions))), 0)
FROM lists;
