-- Instructions as text, the layout of UltraFeedback and UltraInteract_sft; the file is their source.
CREATE TABLE layout (instruction VARCHAR);

SELECT CAST(NULL AS VARCHAR) AS source, [message('user', instruction)] AS prompt
FROM raw;
