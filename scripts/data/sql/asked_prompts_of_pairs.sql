-- The prompt of every pair that has passed so far, each once.
WITH first AS (
    SELECT min(place) AS place
    FROM judged_texts
    WHERE reason IS NULL
    GROUP BY prompt_id
)
SELECT prompt_id, prompt
FROM standard
SEMI JOIN first ON file_row_number = place;
