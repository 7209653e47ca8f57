-- How many conversations were dropped for each reason.
SELECT reason, count(*) AS conversations
FROM judged_conversations
WHERE reason IS NOT NULL
GROUP BY reason
ORDER BY reason;
