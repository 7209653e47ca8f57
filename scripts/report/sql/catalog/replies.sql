-- All that judges were asked, and what they answered: request, reply, tokens. `judge` is the study's name of who judged.
SELECT parse_path(filename)[-2] AS judge, * EXCLUDE (filename)
FROM files.replies
