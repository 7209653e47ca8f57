-- Conversations as lists of messages {role, content} in a column of that name, as some of RLHFlow's mixtures have them; of
-- RLHFlow-SFT-Dataset-ver2 it could not be confirmed whether the column is this one or `messages`, so both are read.
CREATE TABLE layout (conversations STRUCT(role VARCHAR, content VARCHAR)[]);

SELECT list_transform(conversations, lambda turn: message(turn.role, turn.content)) AS messages
FROM raw;
