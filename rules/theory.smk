# Algorithm 1 in the linear case (Section 3.2, Theorem 1): a study of its own, config/theory.yaml, beside any other.

import yaml

try:
    THEORY = sections.validated(sections.Theory, yaml.safe_load((ROOT / "config/theory.yaml").read_text()))
except StudyError as error:
    raise WorkflowError(f"config/theory.yaml: {error}") from None


rule simulate_regret:  # all seeds at once, every method and batch size
    output:
        regret="results/theory/regret/{coverage}.parquet",
    log:
        "results/theory/logs/simulate_regret/{coverage}.log",
    benchmark:
        "results/theory/benchmarks/simulate_regret/{coverage}.tsv"
    params:
        theory=flags(THEORY, "theory."),
        code=code_digest("scripts.theory.simulate_regret"),
    shell:
        "python -m scripts.theory.simulate_regret --coverage {wildcards.coverage} {params.theory}"
        " --output {output.regret} > {log} 2>&1"
