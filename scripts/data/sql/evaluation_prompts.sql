-- The prompts of all benchmarks, each once a benchmark; those that are missing or blank ask nothing.
SELECT DISTINCT benchmark, prompt
FROM prompts
WHERE NOT is_blank(prompt)
ORDER BY benchmark, prompt;
