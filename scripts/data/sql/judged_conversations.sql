-- Every conversation with the reason why SFT can't use it, or none. Conversations may repeat in a data set, and then
-- count as often as they are there: the identity holds the number of the repetition.
WITH numbered AS (
    SELECT source, messages, row_number() OVER (PARTITION BY source, messages) AS occurrence
    FROM conversations
)
SELECT
    source,
    short_digest([source, CAST(to_json(messages) AS VARCHAR), CAST(occurrence AS VARCHAR)]) AS conversation_id,
    messages,
    conversation_defect(messages, 'assistant') AS reason
FROM numbered;
