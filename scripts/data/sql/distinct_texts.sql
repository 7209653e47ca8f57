-- Every distinct text of the standard pairs, named by its digest: messages of prompts and responses.
WITH texts AS (
    SELECT unnest(contents(prompt)) AS content FROM standard
    UNION ALL
    SELECT chosen FROM standard
    UNION ALL
    SELECT rejected FROM standard
)
SELECT md5(content) AS text_id, any_value(content) AS content
FROM texts
WHERE content IS NOT NULL
GROUP BY text_id;
