# What each policy is worth: on held-out prompts, which also choose the result of a run (Algorithm 2, line 7), and on the
# chat benchmarks of Table 2: questions -> answers -> judgments -> scores.


localrules:
    standardise_questions,


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
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("measure_responses", "threads")
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
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
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
        vllm=vllm("evaluate_academic"),
        dtype=STUDY.generation.dtype,
        code=code_digest("scripts.evaluate.evaluate_academic", "academic/humaneval.yaml", "academic/mbpp.yaml"),
    shell:
        "python -m scripts.evaluate.evaluate_academic --policy {input.policy} --rows {input.rows}"
        " --examples {input.examples} {params.tasks} {params.academic} {params.vllm} --dtype {params.dtype}"
        " --scores {output.scores} --samples {output.samples} > {log} 2>&1"


rule standardise_questions:  # a chat benchmark as published -> turns, references, the answer to compare with
    input:
        raw="results/{study}/data/raw/benchmarks/{benchmark}.parquet",
        answers=lambda w: [
            f"results/{w.study}/data/raw/answers/{name}.parquet"
            for name in chat_files()["answers"]
            if name == w.benchmark
        ],
    output:
        questions="results/{study}/evaluation/{benchmark}/questions.parquet",
    log:
        "results/{study}/logs/standardise_questions/{benchmark}.log",
    benchmark:
        "results/{study}/benchmarks/standardise_questions/{benchmark}.tsv"
    params:
        answers=lambda w, input: f"--answers {input.answers}" if input.answers else "",
        code=lambda w: code_digest("scripts.evaluate.standardise_questions", f"questions/{w.benchmark}.sql"),
    shell:
        "python -m scripts.evaluate.standardise_questions --benchmark {wildcards.benchmark} --raw {input.raw}"
        " {params.answers} --output {output.questions} > {log} 2>&1"


rule answer_questions:  # all chat benchmarks in one start of the engine
    input:
        questions=expand("results/{{study}}/evaluation/{benchmark}/questions.parquet", benchmark=list(CHAT) or ["none"]),
        policy=lambda w: policy_folder(w.study, w.policy),
    output:
        answers=expand(
            "results/{{study}}/evaluation/{benchmark}/answers/{{policy}}.parquet", benchmark=list(CHAT) or ["none"]
        ),
    log:
        "results/{study}/logs/answer_questions/{policy}.log",
    benchmark:
        "results/{study}/benchmarks/answer_questions/{policy}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("answer_questions", "threads")
    resources:
        gpu=resource("answer_questions", "gpus"),
        mem_mb=memory_mb("answer_questions"),
        runtime=resource("answer_questions", "hours") * 60,
    params:
        benchmarks=list(CHAT),
        settings=flags(
            {
                name: getattr(STUDY.evaluation.chat, name)
                for name in ("engine", "max_prompt_tokens", "max_new_tokens")
                if CHAT
            }
        ),
        vllm=vllm("answer_questions"),
        dtype=STUDY.generation.dtype,
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.answer_questions"),
    shell:
        "python -m scripts.evaluate.answer_questions --policy {input.policy} --policy-name {wildcards.policy}"
        " --benchmarks {params.benchmarks} --questions {input.questions} {params.settings} {params.vllm}"
        " --dtype {params.dtype} --seed {params.seed} --output {output.answers} > {log} 2>&1"


rule judge_answers:
    input:
        questions="results/{study}/evaluation/{benchmark}/questions.parquet",
        answers="results/{study}/evaluation/{benchmark}/answers/{policy}.parquet",
        model=lambda w: annotator_model(w.study, w.annotator),
        prompt=lambda w: ANNOTATORS[w.annotator].prompt or [],
    output:
        judgments="results/{study}/evaluation/{benchmark}/judgments/{annotator}/{policy}.parquet",
    log:
        "results/{study}/logs/judge_answers/{benchmark}-{annotator}-{policy}.log",
    benchmark:
        "results/{study}/benchmarks/judge_answers/{benchmark}-{annotator}-{policy}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("judge_answers", "threads")
    resources:
        gpu=resource("judge_answers", "gpus"),
        mem_mb=memory_mb("judge_answers"),
        runtime=resource("judge_answers", "hours") * 60,
        judging=lambda w: int(ANNOTATORS[w.annotator].kind == "endpoint"),  # of the profile's: how many ask at a time
    params:
        annotator=lambda w: annotator_flags(w.annotator),
        files=lambda w, input: flags({name: getattr(input, name) or None for name in ("model", "prompt")}),
        vllm=lambda w, resources: vllm("judge_answers") if ANNOTATORS[w.annotator].vllm else "",
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.judge_answers"),
    shell:
        "python -m scripts.evaluate.judge_answers --benchmark {wildcards.benchmark} --judge {wildcards.annotator}"
        " {params.annotator} {params.files} {params.vllm} --policy-name {wildcards.policy} --questions {input.questions}"
        " --answers {input.answers} --cache results/{wildcards.study}/evaluation/replies/{wildcards.annotator}"
        " --seed {params.seed} --output {output.judgments} > {log} 2>&1"


rule score_alpaca_eval:  # win rate, length-controlled too; all policies in one job, so that differences are paired
    input:
        judgments=expand(
            "results/{{study}}/evaluation/alpaca_eval/judgments/{{annotator}}/{policy}.parquet",
            policy=COMPARED or ["none"],
        ),
        calibration=[f"results/{{study}}/data/raw/calibration/{name}.parquet" for name in chat_files()["calibration"]],
    output:
        scores=expand(
            "results/{{study}}/evaluation/alpaca_eval/scores/{{annotator}}/{policy}.json", policy=COMPARED or ["none"]
        ),
        differences="results/{study}/evaluation/alpaca_eval/scores/{annotator}/differences.csv",
    log:
        "results/{study}/logs/score_alpaca_eval/{annotator}.log",
    benchmark:
        "results/{study}/benchmarks/score_alpaca_eval/{annotator}.tsv"
    params:
        calibration=lambda w, input: flags(dict(zip(chat_files()["calibration"], input.calibration))),
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.alpaca_eval"),
    shell:
        "python -m scripts.evaluate.alpaca_eval --annotations {input.judgments} {params.calibration}"
        " --seed {params.seed} --output {output.scores} --differences {output.differences} > {log} 2>&1"


rule score_mt_bench:
    input:
        judgments=expand(
            "results/{{study}}/evaluation/mt_bench/judgments/{{annotator}}/{policy}.parquet",
            policy=COMPARED or ["none"],
        ),
    output:
        scores=expand(
            "results/{{study}}/evaluation/mt_bench/scores/{{annotator}}/{policy}.json", policy=COMPARED or ["none"]
        ),
        differences="results/{study}/evaluation/mt_bench/scores/{annotator}/differences.csv",
    log:
        "results/{study}/logs/score_mt_bench/{annotator}.log",
    benchmark:
        "results/{study}/benchmarks/score_mt_bench/{annotator}.tsv"
    params:
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.mt_bench"),
    shell:
        "python -m scripts.evaluate.mt_bench --judgments {input.judgments} --seed {params.seed}"
        " --output {output.scores} --differences {output.differences} > {log} 2>&1"


rule score_arena_hard:
    input:
        judgments=expand(
            "results/{{study}}/evaluation/arena_hard/judgments/{{annotator}}/{policy}.parquet",
            policy=COMPARED or ["none"],
        ),
    output:
        scores=expand(
            "results/{{study}}/evaluation/arena_hard/scores/{{annotator}}/{policy}.json", policy=COMPARED or ["none"]
        ),
        differences="results/{study}/evaluation/arena_hard/scores/{annotator}/differences.csv",
    log:
        "results/{study}/logs/score_arena_hard/{annotator}.log",
    benchmark:
        "results/{study}/benchmarks/score_arena_hard/{annotator}.tsv"
    params:
        seed=STUDY.seed,
        code=code_digest("scripts.evaluate.arena_hard"),
    shell:
        "python -m scripts.evaluate.arena_hard --judgments {input.judgments} --seed {params.seed}"
        " --output {output.scores} --differences {output.differences} > {log} 2>&1"
