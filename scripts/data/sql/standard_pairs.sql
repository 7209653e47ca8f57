-- The standard pairs of a source: its adapter's pairs with their identities; a text that is missing is a defect. They keep
-- the order in which the adapter gives them: sorted, rows this wide would spill to the disk. What is drawn from them goes
-- by identity.
SELECT
    pair_identity($source, prompt_identity(prompt), chosen, rejected) AS pair_id,
    $source AS source,
    prompt_identity(prompt) AS prompt_id,
    prompt,
    chosen,
    rejected,
    chosen_score,
    rejected_score,
    CASE
        WHEN defect = 'unparsable' THEN 'unparsable'
        WHEN prompt IS NULL OR has_null(contents(prompt)) THEN 'null_value'
        WHEN defect = 'single_response' THEN 'single_response'
        WHEN chosen IS NULL OR rejected IS NULL THEN 'null_value'
        ELSE defect
    END AS defect
FROM adapted;
