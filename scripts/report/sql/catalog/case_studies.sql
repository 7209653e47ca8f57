-- Figures 10 to 12: the test prompts on which offline and online policy answer most differently, with both answers.
SELECT * EXCLUDE (filename)
FROM files.case_studies
