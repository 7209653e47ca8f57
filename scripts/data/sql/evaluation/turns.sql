-- MT-Bench (question.jsonl): what the user says in both turns.
CREATE TABLE layout (turns VARCHAR[]);

SELECT unnest(turns) AS prompt
FROM raw;
