-- Every response that a policy wrote to the prompts of a set, by a sampler.
SELECT
    parse_path(filename)[-5] AS policy,
    parse_path(filename)[-4] AS sampler,
    parse_path(filename)[-3] AS prompt_set,
    CAST(parse_filename(filename, true) AS INTEGER) AS shard,
    * EXCLUDE (filename)
FROM files.responses
