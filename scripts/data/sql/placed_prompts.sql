-- The pool in an order of which every stretch is a sample stratified by source; stretches become sets, as `sets` says.
-- A prompt's place among those of its source is drawn; the sources are then interleaved in proportion to their sizes.
WITH drawn AS (
    SELECT
        prompt_id,
        source,
        prompt,
        row_number() OVER (PARTITION BY source ORDER BY draw($seed, prompt_id)) AS place,
        count(*) OVER (PARTITION BY source) AS size
    FROM judged_prompts
    WHERE reason IS NULL
),
interleaved AS (
    SELECT *, row_number() OVER (ORDER BY (place - 0.5) / size, draw($seed, prompt_id)) AS position
    FROM drawn
)
SELECT prompt_id, source, prompt, sets.name AS set_name
FROM interleaved
JOIN sets ON position BETWEEN sets.first_position AND sets.last_position;
