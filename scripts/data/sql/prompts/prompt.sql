-- Prompts as text alone, the layout of HelpSteer and DIBT-10K; the file is their source.
CREATE TABLE layout (prompt VARCHAR);

SELECT CAST(NULL AS VARCHAR) AS source, [message('user', prompt)] AS prompt
FROM raw;
