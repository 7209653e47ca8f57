-- The rewards that reward models gave to responses; joins `responses` by all columns but `reward_model`, `reward`.
SELECT
    parse_path(filename)[-6] AS policy,
    parse_path(filename)[-5] AS sampler,
    parse_path(filename)[-4] AS prompt_set,
    parse_path(filename)[-2] AS reward_model,
    CAST(parse_filename(filename, true) AS INTEGER) AS shard,
    * EXCLUDE (filename)
FROM files.rewards
