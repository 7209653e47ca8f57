-- The conversations that SFT can't use, each with its reason.
SELECT source, conversation_id, messages, reason
FROM judged_conversations
WHERE reason IS NOT NULL
ORDER BY conversation_id;
