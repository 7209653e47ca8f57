# Algorithm 2: for t = 1..T, generate n responses a prompt, score them, pair the best with the worst, run DPO.


rule generate_responses:  # line 4: n/2 at temperature 1.0, n/2 at 0.7; of a sampler's actors those that this policy is
    input:
        prompts="results/{study}/data/prompts/{prompts}.parquet",
        policy=lambda w: policy_folder(w.study, w.policy),
        # a moved limit regenerates nothing: it only has to hold
        limits=lambda w: ancient(limits_kept(w.study, w.policy) if w.prompts.startswith("iter") else []),
    output:
        responses="results/{study}/rollouts/{policy}/{sampler}/{prompts}/responses/{shard}.parquet",
    log:
        "results/{study}/logs/generate_responses/{policy}-{sampler}-{prompts}-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/generate_responses/{policy}-{sampler}-{prompts}-{shard}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("generate_responses", "threads")
    resources:
        gpu=resource("generate_responses", "gpus"),
        mem_mb=memory_mb("generate_responses"),
        runtime=resource("generate_responses", "hours") * 60,
    params:
        actors=lambda w: list(actors(w)),
        temperatures=lambda w: [actor.temperature for actor in actors(w).values()],
        counts=lambda w: [actor.n for actor in actors(w).values()],
        generation=flags({k: v for k, v in STUDY.generation if k != "shards"}),
        vllm=vllm("generate_responses"),
        shards=STUDY.generation.shards,
        seed=STUDY.seed,
        code=code_digest("scripts.online.generate_responses"),
    shell:
        "python -m scripts.online.generate_responses --prompts {input.prompts} --policy {input.policy}"
        " --policy-name {wildcards.policy} --sampler-name {wildcards.sampler} --prompt-set {wildcards.prompts}"
        " --actors {params.actors} --temperatures {params.temperatures} --counts {params.counts} {params.generation}"
        " {params.vllm} --seed {params.seed}"
        " --shard {wildcards.shard} --shards {params.shards} --output {output.responses} > {log} 2>&1"


rule score_responses:
    input:
        responses="results/{study}/rollouts/{policy}/{sampler}/{prompts}/responses/{shard}.parquet",
        model="results/{study}/models/reward/{reward}",
    output:
        rewards="results/{study}/rollouts/{policy}/{sampler}/{prompts}/rewards/{reward}/{shard}.parquet",
    log:
        "results/{study}/logs/score_responses/{policy}-{sampler}-{prompts}-{reward}-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/score_responses/{policy}-{sampler}-{prompts}-{reward}-{shard}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("score_responses", "threads")
    resources:
        gpu=resource("score_responses", "gpus"),
        mem_mb=memory_mb("score_responses"),
        runtime=resource("score_responses", "hours") * 60,
    params:
        scoring=flags(STUDY.scoring),
        vllm=vllm("score_responses"),
        code=code_digest("scripts.online.score_responses"),
    shell:
        "python -m scripts.online.score_responses --responses {input.responses} --reward-model {input.model}"
        " {params.scoring} {params.vllm} --output {output.rewards} > {log} 2>&1"


rule rank_responses:  # the same by a pairwise preference model, which compares responses
    input:
        responses="results/{study}/rollouts/{policy}/{sampler}/{prompts}/responses/{shard}.parquet",
        model="results/{study}/models/preference/{preference}",
    output:
        rewards="results/{study}/rollouts/{policy}/{sampler}/{prompts}/rewards/{preference}/{shard}.parquet",
    log:
        "results/{study}/logs/rank_responses/{policy}-{sampler}-{prompts}-{preference}-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/rank_responses/{policy}-{sampler}-{prompts}-{preference}-{shard}.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("rank_responses", "threads")
    resources:
        gpu=resource("rank_responses", "gpus"),
        mem_mb=memory_mb("rank_responses"),
        runtime=resource("rank_responses", "hours") * 60,
    params:
        ranking=lambda w: flags({key: getattr(JUDGES[w.preference], key) for key in ("ranking", "both_orders")}),
        scoring=flags(STUDY.scoring),
        vllm=vllm("rank_responses"),
        seed=STUDY.seed,
        code=code_digest("scripts.online.rank_responses"),
    shell:
        "python -m scripts.online.rank_responses --responses {input.responses} --preference-model {input.model}"
        " {params.ranking} {params.scoring} {params.vllm} --seed {params.seed} --output {output.rewards} > {log} 2>&1"


rule score_gold:  # what the miniature world knows of the responses of Figure 3, for tables alone
    input:
        responses="results/{study}/rollouts/sft/length_bias/length_bias/responses/{shard}.parquet",
    output:
        rewards="results/{study}/rollouts/sft/length_bias/length_bias/rewards/gold/{shard}.parquet",
    log:
        "results/{study}/logs/score_gold/{shard}.log",
    benchmark:
        "results/{study}/benchmarks/score_gold/{shard}.tsv"
    params:
        code=code_digest("scripts.world.score_gold"),
    shell:
        "python -m scripts.world.score_gold --responses {input.responses} --output {output.rewards} > {log} 2>&1"


rule select_pairs:  # line 5: two responses, by default best and worst, by reward - lambda * characters (Equation 9)
    input:
        prompts="results/{study}/data/prompts/iter{t}.parquet",
        responses=lambda w: [f for r in rollouts_of(w.run, int(w.t)) for f in responses(w.study, *r)],
        rewards=lambda w: [
            f for r in rollouts_of(w.run, int(w.t)) for f in rewards(w.study, *r, STUDY.runs[w.run].reward)
        ],
    output:
        pairs="results/{study}/runs/{run}/iter{t}/pairs.parquet",
    log:
        "results/{study}/logs/select_pairs/{run}-iter{t}.log",
    benchmark:
        "results/{study}/benchmarks/select_pairs/{run}-iter{t}.tsv"
    params:
        selection=lambda w: flags(
            {key: getattr(STUDY.runs[w.run], key) for key in ("strategy", "minimum_margin", "length_penalty")}
        ),
        seed=STUDY.seed,
        code=code_digest("scripts.online.select_pairs"),
    shell:
        "python -m scripts.online.select_pairs --prompts {input.prompts} --responses {input.responses}"
        " --rewards {input.rewards} {params.selection} --seed {params.seed} --output {output.pairs} > {log} 2>&1"


rule train_dpo:  # line 3: DPO against pi_0, from the last iteration's weights
    input:
        pairs=training_pairs,
        policy=initial_policy,
        reference=reference_policy,
    output:
        policy=directory("results/{study}/runs/{run}/iter{t}/policy"),
    log:
        "results/{study}/logs/train_dpo/{run}-iter{t}.log",
    benchmark:
        "results/{study}/benchmarks/train_dpo/{run}-iter{t}.tsv"
    conda:
        "../envs/train.yaml"
    container:
        "envs/train.sif"
    threads: resource("train_dpo", "threads")
    resources:
        **training_resources("train_dpo"),
    params:
        launch=python_module("train_dpo"),
        dpo=lambda w: flags(STUDY.runs[w.run].dpo, "dpo."),
        seed=lambda w: STUDY.seed + int(w.t),
        epoch1=lambda w, output: f"--epoch1 {output.epoch1}" if "epoch1" in output.keys() else "",
        code=code_digest("scripts.online.train_dpo"),
    shell:
        "{params.launch} scripts.online.train_dpo --pairs {input.pairs} --policy {input.policy}"
        " --reference {input.reference} {params.dpo} --seed {params.seed} --output {output.policy} {params.epoch1}"
        " > {log} 2>&1"


use rule train_dpo as train_dpo_by_epoch with:  # for samplers that ask for the policy after its first epoch as well
    output:
        policy=directory("results/{study}/runs/{run}/iter{t}/policy"),
        epoch1=directory("results/{study}/runs/{run}/iter{t}/epoch1"),
    wildcard_constraints:
        run="|".join(BY_EPOCH) or "none",


ruleorder: train_dpo_by_epoch > train_dpo
