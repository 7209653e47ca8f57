-- The prompts of the pairs that have passed so far, those that differ only in case and white space as one.
WITH first AS (
    SELECT CAST(prompt_digest AS VARCHAR) AS text_id, min_by(place, prompt_id) AS place
    FROM judged_texts
    WHERE reason IS NULL AND prompt_id NOT IN (FROM contaminated)
    GROUP BY prompt_digest
)
SELECT text_id, prompt, prompt_id AS precedence
FROM standard
JOIN first ON file_row_number = place;
