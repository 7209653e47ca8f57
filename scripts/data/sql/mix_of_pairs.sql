-- A mix: at most $cap pairs of each source, shuffled, and split so that no prompt is on both sides.
-- Every draw has its own name; otherwise the pairs that the cap lets through would also come first in the shuffle.
WITH drawn AS (
    SELECT *, row_number() OVER (PARTITION BY source ORDER BY draw($seed, 'cap:' || pair_id)) AS place
    FROM preferences
)
SELECT
    * EXCLUDE place,
    CASE WHEN uniform($seed, 'split:' || prompt_id) < $held_out THEN 'held_out' ELSE 'train' END AS split
FROM drawn
WHERE place <= coalesce(CAST($cap AS BIGINT), place)
ORDER BY draw($seed, 'shuffle:' || pair_id);
