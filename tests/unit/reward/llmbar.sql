-- LLMBar as published (input, output_1, output_2, label 1 | 2), a file for each of its sets, in the schema of
-- RewardBench, which holds the same rows as five subsets of the section Chat Hard.
SELECT CAST(row_number() OVER (ORDER BY filename, file_row_number) AS BIGINT) AS id,
       CASE parse_filename(filename, true)
           WHEN 'Natural' THEN 'llmbar-natural'
           WHEN 'Neighbor' THEN 'llmbar-adver-neighbor'
           WHEN 'Manual' THEN 'llmbar-adver-manual'
           ELSE 'llmbar-adver-' || parse_filename(filename, true)  -- GPTInst, GPTOut
       END AS subset,
       input AS prompt,
       CASE label WHEN 1 THEN output_1 ELSE output_2 END AS chosen,
       CASE label WHEN 1 THEN output_2 ELSE output_1 END AS rejected
FROM (
    SELECT *, row_number() OVER (PARTITION BY filename) AS file_row_number
    FROM read_json($files, filename = true)
)
