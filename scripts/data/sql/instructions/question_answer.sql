-- A question and its answer: the layout of OrcaMath.
CREATE TABLE layout (question VARCHAR, answer VARCHAR);

SELECT [message('user', question), message('assistant', answer)] AS messages
FROM raw;
