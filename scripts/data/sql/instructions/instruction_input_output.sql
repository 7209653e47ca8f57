-- An instruction with or without an input, and its output: the layout of GPT4-LLM (as in Alpaca).
CREATE TABLE layout (instruction VARCHAR, input VARCHAR, output VARCHAR);

WITH asked AS (
    SELECT
        CASE WHEN coalesce(is_blank(input), true) THEN instruction ELSE instruction || e'\n\n' || input END AS request,
        output
    FROM raw
)
SELECT [message('user', request), message('assistant', output)] AS messages
FROM asked;
