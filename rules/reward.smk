# Bradley-Terry reward models, trained or published, pairwise preference models, and how well they judge (Section 2).


localrules:
    retrieve_reward_model,


rule train_reward_model:
    input:
        mix=lambda w: f"results/{w.study}/data/mixes/{STUDY.reward_models[w.reward].mix}.parquet",
        base=lambda w: f"results/{w.study}/models/{STUDY.reward_models[w.reward].initialise}",
    output:
        model=directory("results/{study}/models/reward/{reward}"),
    log:
        "results/{study}/logs/train_reward_model/{reward}.log",
    benchmark:
        "results/{study}/benchmarks/train_reward_model/{reward}.tsv"
    wildcard_constraints:
        reward="|".join(trained_reward_models()) or "none",
    conda:
        "../envs/train.yaml"
    container:
        "envs/train.sif"
    threads: resource("train_reward_model", "threads")
    resources:
        **training_resources("train_reward_model"),
    params:
        launch=python_module("train_reward_model"),
        regularisation=lambda w: flags(
            {key: getattr(STUDY.reward_models[w.reward], key) for key in ("centring", "margin")}
        ),
        optimisation=lambda w: flags(STUDY.reward_models[w.reward].optimisation, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.train_reward_model"),
    shell:
        "{params.launch} scripts.reward.train_reward_model --mix {input.mix} --base {input.base}"
        " {params.regularisation} {params.optimisation} --seed {params.seed} --output {output.model} > {log} 2>&1"


rule retrieve_reward_model:
    input:
        local=lambda w: local_input(STUDY.reward_models[w.reward].external),
    output:
        model=directory("results/{study}/models/reward/{reward}"),
    log:
        "results/{study}/logs/retrieve_reward_model/{reward}.log",
    benchmark:
        "results/{study}/benchmarks/retrieve_reward_model/{reward}.tsv"
    wildcard_constraints:
        reward="|".join(external_reward_models()) or "none",
    params:
        origin=lambda w: origin_flags(STUDY.reward_models[w.reward].external, keys=("hub", "revision")),
        layout=lambda w: flags(
            {key: getattr(STUDY.reward_models[w.reward], key) for key in ("chat_template", "allow_pickle")}
        ),
        template_digest=lambda w: template_digest(STUDY.reward_models[w.reward].chat_template),
        code=code_digest("scripts.reward.retrieve_reward_model"),
    shell:
        "python -m scripts.reward.retrieve_reward_model {params.origin} {params.layout}"
        " --output {output.model} > {log} 2>&1"


rule train_preference_model:
    input:
        comparisons=lambda w: f"results/{w.study}/data/comparisons/{STUDY.preference_models[w.preference].mix}.parquet",
        base=lambda w: f"results/{w.study}/models/{STUDY.preference_models[w.preference].initialise}",
    output:
        model=directory("results/{study}/models/preference/{preference}"),
    log:
        "results/{study}/logs/train_preference_model/{preference}.log",
    benchmark:
        "results/{study}/benchmarks/train_preference_model/{preference}.tsv"
    conda:
        "../envs/train.yaml"
    container:
        "envs/train.sif"
    threads: resource("train_preference_model", "threads")
    resources:
        **training_resources("train_preference_model"),
    params:
        launch=python_module("train_preference_model"),
        optimisation=lambda w: flags(STUDY.preference_models[w.preference].optimisation, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.train_preference_model"),
    shell:
        "{params.launch} scripts.reward.train_preference_model --comparisons {input.comparisons} --base {input.base}"
        " {params.optimisation} --seed {params.seed} --output {output.model} > {log} 2>&1"


rule score_pairs:  # which of two responses is better: RewardBench, and pairs of the mix that no model was trained on
    input:
        pairs=known_pairs,
        model=judge_folder,
    output:
        scores="results/{study}/evaluation/{pairs}/{judge}.parquet",
    log:
        "results/{study}/logs/score_pairs/{pairs}-{judge}.log",
    benchmark:
        "results/{study}/benchmarks/score_pairs/{pairs}-{judge}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("score_pairs", "threads")
    resources:
        gpu=resource("score_pairs", "gpus"),
        mem_mb=memory_mb("score_pairs"),
        runtime=resource("score_pairs", "hours") * 60,
    params:
        kind=lambda w: judge_kind(w.judge),
        orders=judge_orders,
        scoring=flags(STUDY.scoring),
        vllm=vllm("score_pairs"),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.score_pairs"),
    shell:
        "python -m scripts.reward.score_pairs --pairs {input.pairs} --of {wildcards.pairs} --model {input.model}"
        " --kind {params.kind} {params.orders} {params.scoring} {params.vllm} --seed {params.seed}"
        " --output {output.scores} > {log} 2>&1"


rule ask_pairs:  # the same of a chat model behind an endpoint (Table 1, "Prompting")
    input:
        pairs="results/{study}/data/raw/benchmarks/reward_bench.parquet",
    output:
        scores="results/{study}/evaluation/reward_bench/{asked}.parquet",
    log:
        "results/{study}/logs/ask_pairs/{asked}.log",
    benchmark:
        "results/{study}/benchmarks/ask_pairs/{asked}.tsv"
    resources:
        mem_mb=memory_mb("ask_pairs"),
        runtime=resource("ask_pairs", "hours") * 60,
    params:
        endpoint=lambda w: flags(JUDGES[w.asked].endpoint, "endpoint."),
        orders=lambda w: flags({"both_orders": JUDGES[w.asked].both_orders}),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.ask_pairs"),
    shell:
        "python -m scripts.reward.ask_pairs --pairs {input.pairs} {params.endpoint} {params.orders}"
        " --cache results/{wildcards.study}/evaluation/replies/{wildcards.asked} --seed {params.seed}"
        " --output {output.scores} > {log} 2>&1"
