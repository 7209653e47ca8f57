-- An instruction and its response: the layout of Magicoder-Evol-Instruct and UltraInteract_sft.
CREATE TABLE layout (instruction VARCHAR, response VARCHAR);

SELECT [message('user', instruction), message('assistant', response)] AS messages
FROM raw;
