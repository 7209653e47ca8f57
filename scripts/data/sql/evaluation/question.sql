-- Questions with an answer: GSM8K, MMLU, ARC, TruthfulQA.
CREATE TABLE layout (question VARCHAR);

SELECT question AS prompt
FROM raw;
