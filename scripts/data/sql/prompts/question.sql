-- Questions with or without a system prompt, the layout of OpenOrca.
CREATE TABLE layout (system_prompt VARCHAR, question VARCHAR);

SELECT
    CAST(NULL AS VARCHAR) AS source,
    CASE
        WHEN coalesce(is_blank(system_prompt), true) THEN [message('user', question)]
        ELSE [message('system', system_prompt), message('user', question)]
    END AS prompt
FROM raw;
