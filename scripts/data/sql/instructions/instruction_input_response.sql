-- An instruction with or without an input, and its response: the layout of GPTeacher.
CREATE TABLE layout (instruction VARCHAR, input VARCHAR, response VARCHAR);

WITH asked AS (
    SELECT
        CASE WHEN coalesce(is_blank(input), true) THEN instruction ELSE instruction || e'\n\n' || input END AS request,
        response
    FROM raw
)
SELECT [message('user', request), message('assistant', response)] AS messages
FROM asked;
