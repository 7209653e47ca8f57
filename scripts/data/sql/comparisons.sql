-- Each pair of a mix as a preference model reads it (Section 2.1): one text with both responses, and the letter of the
-- better one as label. Which response stands first is drawn from the seed by the pair's identity, so that on average
-- no position is better. `layout` has fields for the context, the first and the second response.
-- The context is the words of a single message, else every message after its role.
WITH positioned AS (
    SELECT *,
           CASE WHEN uniform($seed, 'position:' || pair_id) < 0.5 THEN 'A' ELSE 'B' END AS label,
           CASE WHEN len(prompt) = 1 THEN prompt[1].content
                ELSE array_to_string(list_transform(prompt, lambda turn: turn.role || ': ' || turn.content), e'\n\n')
           END AS context
    FROM mix
)
SELECT pair_id,
       source,
       CASE label WHEN 'A' THEN format($layout, context, chosen, rejected)
                  ELSE format($layout, context, rejected, chosen)
       END AS comparison,
       label,
       split
FROM positioned
