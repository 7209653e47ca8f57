-- How the catalogue reads files (schema `files`), and what the name of a policy says.
CREATE SCHEMA files;

-- Tables that may have columns beyond their contract, such as the `split` of held-out prompts: null where one has none.
CREATE MACRO files.tables(paths) AS TABLE
    FROM read_parquet(paths, filename = true, union_by_name = true);
-- Snakemake's measurements, a row a job; NA is what could not be measured.
CREATE MACRO files.benchmarks(paths) AS TABLE
    FROM read_csv(paths, filename = true, union_by_name = true, delim = '\t', header = true, nullstr = ['NA', '-']);
CREATE MACRO files.manifests(paths) AS TABLE
    FROM read_json(paths, columns = {
        output: 'STRUCT(path VARCHAR, sha256 VARCHAR)',
        code: 'STRUCT(module VARCHAR)',
        started: 'VARCHAR',
        seconds: 'DOUBLE',
        arguments: 'JSON',
        facts: 'JSON',
        inputs: 'STRUCT(argument VARCHAR, path VARCHAR, sha256 VARCHAR)[]'
    });

-- `iterative-iter2` is iteration 2 of the run `iterative`; `sft` is iteration 0 of itself.
CREATE MACRO run_of(policy) AS regexp_replace(policy, '-iter\d+$', '');
CREATE MACRO iteration_of(policy) AS coalesce(TRY_CAST(regexp_extract(policy, '-iter(\d+)$', 1) AS INTEGER), 0);
