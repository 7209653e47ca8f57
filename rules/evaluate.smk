# What each policy is worth on held-out prompts, and which iteration is the result of a run (Algorithm 2, line 7).


rule measure_responses:  # reward, gold reward, length and log pi/pi_0 of a policy's answers to held-out prompts
    input:
        prompts="results/{study}/data/prompts/held_out.parquet",
        responses=lambda w: responses(w.study, w.policy, "evaluation", "held_out"),
        rewards=lambda w: rewards(w.study, w.policy, "evaluation", "held_out", STUDY.evaluation.reward),
        policy=lambda w: policy_folder(w.study, w.policy),
        reference="results/{study}/models/sft",
    output:
        measures="results/{study}/evaluation/measures/{policy}.parquet",
    log:
        "results/{study}/logs/measure_responses/{policy}.log",
    benchmark:
        "results/{study}/benchmarks/measure_responses/{policy}.tsv"
    resources:
        gpu=resource("measure_responses", "gpus"),
        mem_mb=memory_mb("measure_responses"),
        runtime=resource("measure_responses", "hours") * 60,
    params:
        gold=lambda w: "--gold" if STUDY.world else "--no-gold",
        dtype=STUDY.generation.dtype,
        code=code_digest("scripts.evaluate.measure_responses"),
    shell:
        "python -m scripts.evaluate.measure_responses --prompts {input.prompts} --responses {input.responses}"
        " --rewards {input.rewards} --policy {input.policy} --reference {input.reference} {params.gold}"
        " --dtype {params.dtype} --output {output.measures} > {log} 2>&1"


rule monitor_policy:  # what an iteration gained, how far it drifted, whether it is collapsing
    input:
        measures="results/{study}/evaluation/measures/{policy}.parquet",
        previous=lambda w: f"results/{w.study}/evaluation/measures/{policy_before(w.policy)}.parquet",
        sft="results/{study}/evaluation/measures/sft.parquet",
    output:
        monitor="results/{study}/evaluation/monitors/{policy}.parquet",
    log:
        "results/{study}/logs/monitor_policy/{policy}.log",
    benchmark:
        "results/{study}/benchmarks/monitor_policy/{policy}.tsv"
    params:
        judge=lambda w: STUDY.evaluation.judge,
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.monitor_policy"),
    shell:
        "python -m scripts.evaluate.monitor_policy --measures {input.measures} --previous {input.previous}"
        " --sft {input.sft} --judge {params.judge} --seed {params.seed} --output {output.monitor} > {log} 2>&1"


rule check_limits:  # a run whose policy has gone astray ends here
    input:
        monitor="results/{study}/evaluation/monitors/{run}-iter{t}.parquet",
    output:
        within="results/{study}/runs/{run}/iter{t}/within_limits.json",
    log:
        "results/{study}/logs/check_limits/{run}-iter{t}.log",
    benchmark:
        "results/{study}/benchmarks/check_limits/{run}-iter{t}.tsv"
    params:
        limits=lambda w: flags(STUDY.runs[w.run].limits, "limits."),
        code=code_digest("scripts.evaluate.check_limits"),
    shell:
        "python -m scripts.evaluate.check_limits --monitor {input.monitor} --run {wildcards.run}"
        " --iteration {wildcards.t} {params.limits} --output {output.within} > {log} 2>&1"


rule select_best:
    input:
        measures=lambda w: measures_of(w.study, w.run),
        policies=lambda w: [
            policy_folder(w.study, f"{w.run}-iter{t}") for t in range(1, STUDY.runs[w.run].iterations + 1)
        ],
        limits=lambda w: ancient(  # as in generate_responses
            [
                path
                for t in range(1, STUDY.runs[w.run].iterations + 1)
                for path in limits_kept(w.study, f"{w.run}-iter{t}")
            ]
        ),
    output:
        best=directory("results/{study}/runs/{run}/best"),
    log:
        "results/{study}/logs/select_best/{run}.log",
    benchmark:
        "results/{study}/benchmarks/select_best/{run}.tsv"
    params:
        judge=lambda w: STUDY.evaluation.judge,
        code=code_digest("scripts.evaluate.select_best"),
    shell:
        "python -m scripts.evaluate.select_best --measures {input.measures} --policies {input.policies}"
        " --judge {params.judge} --output {output.best} > {log} 2>&1"


rule evaluate_academic:  # six benchmarks by lm-evaluation-harness, in one process a policy (Table 3)
    input:
        policy=lambda w: policy_folder(w.study, w.policy),
        rows=expand("results/{{study}}/data/raw/benchmarks/{task}.parquet", task=academic_tasks()),
        examples=expand(
            "results/{{study}}/data/raw/benchmarks/{task}_examples.parquet",
            task=[name for name, task in academic_tasks().items() if task.shots],
        ),
    output:
        scores="results/{study}/evaluation/academic/{policy}/scores.parquet",
        samples="results/{study}/evaluation/academic/{policy}/samples.parquet",
    log:
        "results/{study}/logs/evaluate_academic/{policy}.log",
    benchmark:
        "results/{study}/benchmarks/evaluate_academic/{policy}.tsv"
    threads: resource("evaluate_academic", "threads")
    resources:
        gpu=resource("evaluate_academic", "gpus"),
        mem_mb=memory_mb("evaluate_academic"),
        runtime=resource("evaluate_academic", "hours") * 60,
    params:
        tasks=lambda w: academic_flags(),
        academic=lambda w: flags(
            {k: getattr(STUDY.evaluation.academic, k) for k in ("engine", "execute_generated_code")}
        ),
        dtype=STUDY.generation.dtype,
        code=code_digest("scripts.evaluate.evaluate_academic", "academic/humaneval.yaml", "academic/mbpp.yaml"),
    shell:
        "python -m scripts.evaluate.evaluate_academic --policy {input.policy} --rows {input.rows}"
        " --examples {input.examples} {params.tasks} {params.academic} --dtype {params.dtype}"
        " --scores {output.scores} --samples {output.samples} > {log} 2>&1"
