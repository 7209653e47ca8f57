-- Arena-Hard v0.1 (question.jsonl): turns {content}.
CREATE TABLE layout (turns STRUCT(content VARCHAR)[]);

SELECT unnest(turns).content AS prompt
FROM raw;
