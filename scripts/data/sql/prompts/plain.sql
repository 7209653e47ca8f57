-- Prompts as text, each with the data set it comes from.
CREATE TABLE layout (prompt VARCHAR, source VARCHAR);

SELECT source, [message('user', prompt)] AS prompt
FROM raw;
