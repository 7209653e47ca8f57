-- Rounds {input, output} of a conversation, the layout of Capybara: a prompt is everything before the last output.
CREATE TABLE layout (conversation STRUCT(input VARCHAR, output VARCHAR)[]);

SELECT
    CAST(NULL AS VARCHAR) AS source,
    flatten(list_transform(
        conversation, lambda turn: [message('user', turn.input), message('assistant', turn.output)]
    ))[:-2] AS prompt
FROM raw;
