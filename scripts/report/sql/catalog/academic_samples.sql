-- Every answer of a policy to the academic benchmarks: the whole prompt, target, response, score; what became of programs.
SELECT split_part(filename, '/', -2) AS policy, * EXCLUDE (filename)
FROM files.academic_samples
