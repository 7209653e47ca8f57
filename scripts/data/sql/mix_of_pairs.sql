-- A mix: of each source at most its cap of pairs, those for training as often as its weight says, shuffled, and split so
-- that no prompt is on both sides. A weight of 1.5 takes every pair once and half of them twice; 0.5 takes half of them.
-- Every draw has its own name; otherwise the pairs that the cap lets through would also come first in the shuffle.
WITH drawn AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY source ORDER BY draw($seed, 'cap:' || pair_id)) AS place,
        CASE WHEN uniform($seed, 'split:' || prompt_id) < $held_out THEN 'held_out' ELSE 'train' END AS split
    FROM preferences
),
counted AS (
    SELECT
        drawn.* EXCLUDE place,
        floor(weight) + CAST(uniform($seed, 'weight:' || pair_id) < weight - floor(weight) AS INTEGER) AS copies
    FROM drawn
    JOIN shares USING (source)
    WHERE place <= coalesce(cap, place)
),
repeated AS (  -- a held-out pair counts once, so that accuracy is one of pairs
    SELECT *, unnest(range(CAST(if(split = 'train', copies, least(copies, 1)) AS BIGINT))) AS copy
    FROM counted
)
SELECT * EXCLUDE (copies, copy)
FROM repeated
ORDER BY draw($seed, 'shuffle:' || pair_id || repeat('+', copy));
