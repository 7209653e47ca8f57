-- An instruction and its output: the layout of MathInstruct.
CREATE TABLE layout (instruction VARCHAR, output VARCHAR);

SELECT [message('user', instruction), message('assistant', output)] AS messages
FROM raw;
