-- The conversations that SFT trains on.
SELECT source, conversation_id, messages
FROM judged_conversations
WHERE reason IS NULL
ORDER BY conversation_id;
