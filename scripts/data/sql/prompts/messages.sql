-- Prompts as lists of messages {role, content}, the layout of RLHFlow's prompt collections; the file is their source.
CREATE TABLE layout (context_messages STRUCT(role VARCHAR, content VARCHAR)[]);

SELECT
    CAST(NULL AS VARCHAR) AS source,
    list_transform(context_messages, lambda turn: message(turn.role, turn.content)) AS prompt
FROM raw;
