-- What made each artifact, from its manifest: module, arguments, inputs, start (UTC), seconds, and what it reported.
SELECT
    output.path AS path,
    output.sha256 AS sha256,
    code.module AS module,
    make_timestamp(epoch_us(CAST(started AS TIMESTAMPTZ))) AS started,
    seconds,
    arguments,
    inputs,
    facts
FROM files.artifacts
