-- Summarization (openai/summarize_from_feedback, comparisons): two summaries of a Reddit post, `choice` the better one.
-- The prompt is the query of Stiennon et al. (2020): subreddit, title and post, then "TL;DR:".
CREATE TABLE layout (
    info STRUCT(subreddit VARCHAR, title VARCHAR, post VARCHAR),
    summaries STRUCT("text" VARCHAR)[],
    choice BIGINT
);

SELECT
    [message(
        'user',
        'SUBREDDIT: r/' || info.subreddit || e'\n\nTITLE: ' || info.title || e'\n\nPOST: ' || info.post || e'\n\nTL;DR:'
    )] AS prompt,
    CASE WHEN choice = 1 THEN summaries[2]."text" ELSE summaries[1]."text" END AS chosen,
    CASE WHEN choice = 1 THEN summaries[1]."text" ELSE summaries[2]."text" END AS rejected,
    CAST(NULL AS DOUBLE) AS chosen_score,
    CAST(NULL AS DOUBLE) AS rejected_score,
    CASE
        WHEN choice NOT IN (0, 1) OR len(summaries) > 2 THEN 'unparsable'
        WHEN choice IS NULL OR summaries IS NULL THEN 'null_value'
        WHEN len(summaries) < 2 THEN 'single_response'
        WHEN is_blank(info.post) THEN 'empty_round'  -- the headings around it are not blank
    END AS defect
FROM raw;
