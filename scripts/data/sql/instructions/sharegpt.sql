-- Conversations in the layout of ShareGPT: turns {from: human | gpt | system, value}.
CREATE TABLE layout (conversations STRUCT("from" VARCHAR, "value" VARCHAR)[]);

SELECT
    list_transform(
        conversations,
        lambda turn: message(
            CASE turn."from"
                WHEN 'human' THEN 'user'
                WHEN 'gpt' THEN 'assistant'
                ELSE turn."from"
            END,
            turn."value"
        )
    ) AS messages
FROM raw;
