-- A turn is text, or an object with the text as its content.
CREATE MACRO turn_text(turn) AS coalesce(to_json(turn) ->> '$.content', to_json(turn) ->> '$');

-- All columns that a published layout may have: where the file lacks one, it is null.
CREATE TABLE layout (
    position BIGINT, question_id VARCHAR, prompt_id VARCHAR, category VARCHAR, "cluster" VARCHAR, dataset VARCHAR,
    instruction VARCHAR, output VARCHAR, generator VARCHAR, prompt VARCHAR[], reference VARCHAR[]
);
CREATE TABLE no_turns (turns VARCHAR[]);  -- apart, since Arena-Hard's turns are objects
CREATE TABLE no_answers (question_id VARCHAR, model_id VARCHAR, choices STRUCT(turns VARCHAR[])[]);
