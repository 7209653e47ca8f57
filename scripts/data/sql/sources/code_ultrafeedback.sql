-- CodeUltraFeedback (coseal/CodeUltraFeedback): all pairs of a prompt's responses, by the mean rating of their model,
-- which GPT-3.5 wrote as text; 'N/A' is no rating.
CREATE TABLE layout (
    instruction VARCHAR,
    responses STRUCT(model VARCHAR, response VARCHAR)[],
    annotations STRUCT(model VARCHAR, rating VARCHAR)[]
);

WITH rated AS (
    SELECT
        instruction,
        list_transform(
            responses,
            lambda answer: {
                'response': answer.response,
                'score': list_avg(list_transform(
                    list_filter(annotations, lambda note: note.model = answer.model),
                    lambda note: TRY_CAST(note.rating AS DOUBLE)
                ))
            }
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

SELECT coalesce(sum(number_of_comparisons(len(responses))), 0)
FROM lists;
