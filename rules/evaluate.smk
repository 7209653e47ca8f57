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


rule select_best:
    input:
        measures=lambda w: [
            f"results/{w.study}/evaluation/measures/{w.run}-iter{t}.parquet"
            for t in range(1, STUDY.runs[w.run].iterations + 1)
        ],
        policies=lambda w: [
            policy_folder(w.study, f"{w.run}-iter{t}") for t in range(1, STUDY.runs[w.run].iterations + 1)
        ],
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
