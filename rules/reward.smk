# Bradley-Terry reward models and pairwise preference models on the mixes, and how well they judge (Section 2).


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
    threads: resource("train_reward_model", "threads")
    resources:
        gpu=resource("train_reward_model", "gpus"),
        mem_mb=memory_mb("train_reward_model"),
        runtime=resource("train_reward_model", "hours") * 60,
    params:
        launch=python_module(resource("train_reward_model", "gpus")),
        centring=lambda w: STUDY.reward_models[w.reward].centring,
        optimisation=lambda w: flags(STUDY.reward_models[w.reward].optimisation, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.train_reward_model"),
    shell:
        "{params.launch} scripts.reward.train_reward_model --mix {input.mix} --base {input.base}"
        " --centring {params.centring} {params.optimisation} --seed {params.seed} --output {output.model} > {log} 2>&1"


rule train_preference_model:
    input:
        comparisons=lambda w: f"results/{w.study}/data/mixes/{STUDY.preference_models[w.preference].mix}.pairwise.parquet",
        base=lambda w: f"results/{w.study}/models/{STUDY.preference_models[w.preference].initialise}",
    output:
        model=directory("results/{study}/models/preference/{preference}"),
    log:
        "results/{study}/logs/train_preference_model/{preference}.log",
    benchmark:
        "results/{study}/benchmarks/train_preference_model/{preference}.tsv"
    threads: resource("train_preference_model", "threads")
    resources:
        gpu=resource("train_preference_model", "gpus"),
        mem_mb=memory_mb("train_preference_model"),
        runtime=resource("train_preference_model", "hours") * 60,
    params:
        launch=python_module(resource("train_preference_model", "gpus")),
        optimisation=lambda w: flags(STUDY.preference_models[w.preference].optimisation, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.reward.train_preference_model"),
    shell:
        "{params.launch} scripts.reward.train_preference_model --comparisons {input.comparisons} --base {input.base}"
        " {params.optimisation} --seed {params.seed} --output {output.model} > {log} 2>&1"


rule score_reward_bench:
    input:
        bench="results/{study}/data/raw/benchmarks/reward_bench.parquet",
        model="results/{study}/models/reward/{reward}",
    output:
        scores="results/{study}/evaluation/reward_bench/{reward}.parquet",
    log:
        "results/{study}/logs/score_reward_bench/{reward}.log",
    benchmark:
        "results/{study}/benchmarks/score_reward_bench/{reward}.tsv"
    resources:
        gpu=resource("score_reward_bench", "gpus"),
        mem_mb=memory_mb("score_reward_bench"),
        runtime=resource("score_reward_bench", "hours") * 60,
    params:
        code=code_digest("scripts.reward.score_reward_bench"),
    shell:
        "python -m scripts.reward.score_reward_bench --bench {input.bench} --reward-model {input.model}"
        " --output {output.scores} > {log} 2>&1"


rule score_held_out:  # accuracy on pairs of the mix that no reward model saw
    input:
        mix=lambda w: f"results/{w.study}/data/mixes/{STUDY.reward_models[w.reward].mix}.parquet",
        model="results/{study}/models/reward/{reward}",
    output:
        scores="results/{study}/evaluation/held_out/{reward}.parquet",
    log:
        "results/{study}/logs/score_held_out/{reward}.log",
    benchmark:
        "results/{study}/benchmarks/score_held_out/{reward}.tsv"
    resources:
        gpu=resource("score_held_out", "gpus"),
        mem_mb=memory_mb("score_held_out"),
        runtime=resource("score_held_out", "hours") * 60,
    params:
        code=code_digest("scripts.reward.score_held_out"),
    shell:
        "python -m scripts.reward.score_held_out --mix {input.mix} --reward-model {input.model}"
        " --output {output.scores} > {log} 2>&1"
