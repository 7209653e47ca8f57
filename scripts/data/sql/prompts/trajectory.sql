-- Paths through trees of actions, the layout of UltraInteract_pair: a prompt is the instruction at the root.
CREATE TABLE layout (trajectory STRUCT("from" VARCHAR, "value" VARCHAR)[]);

SELECT
    CAST(NULL AS VARCHAR) AS source,
    list_transform(trajectory[:1], lambda step: message(step."from", step."value")) AS prompt
FROM raw;
