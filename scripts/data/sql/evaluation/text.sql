-- Tasks as text: MBPP.
CREATE TABLE layout ("text" VARCHAR);

SELECT "text" AS prompt
FROM raw;
