-- Every distinct text of the standard pairs, named by its digest: messages of prompts and responses.
WITH texts AS (
    SELECT unnest(contents(prompt)) AS content FROM standard
    UNION  -- each once
    SELECT chosen FROM standard
    UNION
    SELECT rejected FROM standard
)
SELECT md5(content) AS text_id, content
FROM texts
WHERE content IS NOT NULL;
