-- Conversations as lists of messages {role, content}.
CREATE TABLE layout (messages STRUCT(role VARCHAR, content VARCHAR)[]);

SELECT list_transform(messages, lambda turn: message(turn.role, turn.content)) AS messages
FROM raw;
