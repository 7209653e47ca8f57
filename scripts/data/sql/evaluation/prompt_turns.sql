-- MT-Bench as the hub has it (HuggingFaceH4/mt_bench_prompts): what the user says in both turns.
CREATE TABLE layout (prompt VARCHAR[]);

SELECT unnest(prompt) AS prompt
FROM raw;
