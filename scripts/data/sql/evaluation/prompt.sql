-- Prompts as text: RewardBench, HumanEval, Arena-Hard v2.
CREATE TABLE layout (prompt VARCHAR);

SELECT prompt AS prompt
FROM raw;
