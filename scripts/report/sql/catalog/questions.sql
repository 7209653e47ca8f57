-- The questions of the chat benchmarks: turns, references, and the answer that a policy's is compared with.
SELECT parse_path(filename)[-2] AS benchmark, * EXCLUDE (filename)
FROM files.questions
