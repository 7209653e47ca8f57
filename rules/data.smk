# Preference data: raw -> standard pairs -> filtered -> mixes, by SQL; instructions for SFT; prompt sets (Appendix B.1).

WORLD_FILES = [
    "hh_rlhf.jsonl.gz",
    "ultrafeedback.jsonl.gz",
    "helpsteer.jsonl.gz",
    "pku_saferlhf.jsonl.gz",
    "ultrainteract.parquet",
    "nectar.parquet",
    "shp.jsonl.gz",
    "summarisation.parquet",
    "code_ultrafeedback.parquet",
    "argilla_math.parquet",
    "distilabel_orca.parquet",
    "distilabel_capybara.parquet",
    "instructions.jsonl.gz",
    "documents.jsonl.gz",
    "prompts.jsonl.gz",
    "reward_bench.parquet",
    "gsm8k.jsonl.gz",
    "gsm8k_examples.jsonl.gz",
    "mmlu.jsonl.gz",
    "mmlu_examples.jsonl.gz",
    "truthfulqa.jsonl.gz",
    "arc.jsonl.gz",
    "arc_examples.jsonl.gz",
    "humaneval.jsonl.gz",
    "mbpp.jsonl.gz",
    "alpaca_eval.jsonl.gz",
    "alpaca_eval_difficulty.jsonl.gz",
    "alpaca_eval_gamed.jsonl.gz",
    "mt_bench.jsonl.gz",
    "arena_hard.jsonl.gz",
    "arena_hard_answers.jsonl.gz",
    "defects.json",
]


localrules:
    retrieve,


rule generate_world:  # the demo's raw data, in the published schemas
    output:
        expand("results/{{study}}/world/raw/{file}", file=WORLD_FILES),
    log:
        "results/{study}/logs/generate_world.log",
    benchmark:
        "results/{study}/benchmarks/generate_world.tsv"
    params:
        world=lambda w: flags(STUDY.world, "world."),
        seed=STUDY.seed,
        code=code_digest("scripts.world.generate_world"),
    shell:
        "python -m scripts.world.generate_world {params.world} --seed {params.seed}"
        " --output results/{wildcards.study}/world/raw > {log} 2>&1"


rule retrieve:  # from the hub at its pinned revision, or a copy on disk
    input:
        local=lambda w: local_input(origin(w.collection, w.source)),
    output:
        raw="results/{study}/data/raw/{collection}/{source}.parquet",
    log:
        "results/{study}/logs/retrieve/{collection}-{source}.log",
    benchmark:
        "results/{study}/benchmarks/retrieve/{collection}-{source}.tsv"
    params:
        origin=lambda w: origin_flags(origin(w.collection, w.source)),
        code=code_digest("scripts.data.retrieve"),
    shell:
        "python -m scripts.data.retrieve {params.origin} --output {output.raw} > {log} 2>&1"


rule standardise_preferences:  # any published schema -> (prompt, chosen, rejected)
    input:
        raw="results/{study}/data/raw/preferences/{source}.parquet",
    output:
        pairs="results/{study}/data/standard/{source}.parquet",
    log:
        "results/{study}/logs/standardise_preferences/{source}.log",
    benchmark:
        "results/{study}/benchmarks/standardise_preferences/{source}.tsv"
    resources:
        mem_mb=memory_mb("standardise_preferences"),
        runtime=resource("standardise_preferences", "hours") * 60,
    params:
        adapter=lambda w: adapter(w.source),
        code=lambda w: code_digest("scripts.data.standardise_preferences", f"sources/{adapter(w.source)}.sql"),
    shell:
        "python -m scripts.data.standardise_preferences --raw {input.raw} --source {wildcards.source}"
        " --adapter {params.adapter} --memory-mb {resources.mem_mb} --output {output.pairs} > {log} 2>&1"


rule count_tokens:
    input:
        pairs="results/{study}/data/standard/{source}.parquet",
        tokenizer="results/{study}/models/base",
    output:
        tokens="results/{study}/data/tokens/{source}.parquet",
    log:
        "results/{study}/logs/count_tokens/{source}.log",
    benchmark:
        "results/{study}/benchmarks/count_tokens/{source}.tsv"
    threads: resource("count_tokens", "threads")
    resources:
        mem_mb=memory_mb("count_tokens"),
        runtime=resource("count_tokens", "hours") * 60,
    params:
        code=code_digest("scripts.data.count_tokens"),
    shell:
        "python -m scripts.data.count_tokens --standard {input.pairs} --tokenizer {input.tokenizer}"
        " --memory-mb {resources.mem_mb} --output {output.tokens} > {log} 2>&1"


rule collect_evaluation_prompts:  # what no training prompt may hold
    input:
        raw=expand("results/{{study}}/data/raw/benchmarks/{name}.parquet", name=asked_benchmarks()),
    output:
        prompts="results/{study}/data/evaluation_prompts.parquet",
    log:
        "results/{study}/logs/collect_evaluation_prompts.log",
    benchmark:
        "results/{study}/benchmarks/collect_evaluation_prompts.tsv"
    params:
        names=asked_benchmarks(),
        code=code_digest("scripts.data.collect_evaluation_prompts"),
    shell:
        "python -m scripts.data.collect_evaluation_prompts --raw {input.raw} --names {params.names}"
        " --output {output.prompts} > {log} 2>&1"


rule filter_preferences:  # noisy pairs out, each with its reason
    input:
        pairs="results/{study}/data/standard/{source}.parquet",
        tokens="results/{study}/data/tokens/{source}.parquet",
        evaluation_prompts=evaluation_prompts(),
    output:
        kept="results/{study}/data/preferences/{source}.parquet",
        dropped="results/{study}/data/dropped/{source}.parquet",
    log:
        "results/{study}/logs/filter_preferences/{source}.log",
    benchmark:
        "results/{study}/benchmarks/filter_preferences/{source}.tsv"
    resources:
        mem_mb=memory_mb("filter_preferences"),
        runtime=resource("filter_preferences", "hours") * 60,
    params:
        margin=lambda w: DATA.preferences[w.source].minimum_margin,
        max_tokens=DATA.max_tokens,
        decontamination=decontamination_flags(),
        near_duplicates=lambda w: near_duplicates_flags(w.source),
        code=code_digest("scripts.data.filter_preferences"),
    shell:
        "python -m scripts.data.filter_preferences --standard {input.pairs} --tokens {input.tokens}"
        " --minimum-margin {params.margin} --max-tokens {params.max_tokens}"
        " {params.decontamination} {params.near_duplicates} --memory-mb {resources.mem_mb}"
        " --kept {output.kept} --dropped {output.dropped} > {log} 2>&1"


rule mix_preferences:  # MIX1, MIX2 (Section 2); the off-policy pairs of the offline baseline
    input:
        preferences=lambda w: preference_tables(w.mix),
    output:
        mix="results/{study}/data/mixes/{mix}.parquet",
    log:
        "results/{study}/logs/mix_preferences/{mix}.log",
    benchmark:
        "results/{study}/benchmarks/mix_preferences/{mix}.tsv"
    resources:
        mem_mb=memory_mb("mix_preferences"),
        runtime=resource("mix_preferences", "hours") * 60,
    params:
        shares=lambda w: flags({name: getattr(DATA.mixes[w.mix], name) or None for name in ("cap", "caps", "weights")}),
        held_out=DATA.held_out,
        seed=STUDY.seed,
        code=code_digest("scripts.data.mix_preferences"),
    shell:
        "python -m scripts.data.mix_preferences --preferences {input.preferences} {params.shares}"
        " --held-out {params.held_out} --seed {params.seed} --memory-mb {resources.mem_mb}"
        " --output {output.mix} > {log} 2>&1"


rule format_comparisons:  # both responses in one text, label A or B: what a pairwise preference model learns from
    input:
        mix="results/{study}/data/mixes/{mix}.parquet",
        tokenizer="results/{study}/models/base",
    output:
        comparisons="results/{study}/data/comparisons/{mix}.parquet",
    log:
        "results/{study}/logs/format_comparisons/{mix}.log",
    benchmark:
        "results/{study}/benchmarks/format_comparisons/{mix}.tsv"
    resources:
        mem_mb=memory_mb("format_comparisons"),
        runtime=resource("format_comparisons", "hours") * 60,
    params:
        max_tokens=lambda w: comparison_tokens(w.mix),
        seed=STUDY.seed,
        code=code_digest("scripts.data.format_comparisons"),
    shell:
        "python -m scripts.data.format_comparisons --mix {input.mix} --tokenizer {input.tokenizer}"
        " --max-tokens {params.max_tokens} --seed {params.seed} --output {output.comparisons} > {log} 2>&1"


rule summarise_preferences:  # Table 5; what the filter dropped; lengths, gaps, margins
    input:
        preferences=expand("results/{{study}}/data/preferences/{source}.parquet", source=DATA.preferences),
        dropped=expand("results/{{study}}/data/dropped/{source}.parquet", source=DATA.preferences),
        tokens=expand("results/{{study}}/data/tokens/{source}.parquet", source=DATA.preferences),
    output:
        **{name: f"results/{{study}}/tables/{name}.csv" for name in PREFERENCE_TABLES},
    log:
        "results/{study}/logs/summarise_preferences.log",
    benchmark:
        "results/{study}/benchmarks/summarise_preferences.tsv"
    resources:
        mem_mb=memory_mb("summarise_preferences"),
        runtime=resource("summarise_preferences", "hours") * 60,
    params:
        completions=[source.completion for source in DATA.preferences.values()],
        annotators=[source.annotator for source in DATA.preferences.values()],
        table5=[source.table5 or "none" for source in DATA.preferences.values()],
        max_tokens=DATA.max_tokens,
        tables=lambda w, output: named_files(output),
        code=code_digest("scripts.data.summarise_preferences"),
    shell:
        "python -m scripts.data.summarise_preferences --preferences {input.preferences} --dropped {input.dropped}"
        " --tokens {input.tokens} --completions {params.completions} --annotators {params.annotators:q}"
        " --table5-rows {params.table5:q} --max-tokens {params.max_tokens} --memory-mb {resources.mem_mb} {params.tables}"
        " > {log} 2>&1"


rule standardise_instructions:
    input:
        raw=expand("results/{{study}}/data/raw/instructions/{source}.parquet", source=DATA.instructions),
    output:
        instructions="results/{study}/data/instructions.parquet",
        dropped="results/{study}/data/dropped_instructions.parquet",
    log:
        "results/{study}/logs/standardise_instructions.log",
    benchmark:
        "results/{study}/benchmarks/standardise_instructions.tsv"
    resources:
        mem_mb=memory_mb("standardise_instructions"),
        runtime=resource("standardise_instructions", "hours") * 60,
    params:
        names=list(DATA.instructions),
        code=code_digest("scripts.data.standardise_instructions"),
    shell:
        "python -m scripts.data.standardise_instructions --raw {input.raw} --names {params.names}"
        " --memory-mb {resources.mem_mb} --output {output.instructions} --dropped {output.dropped} > {log} 2>&1"


rule select_prompts:  # disjoint sets of prompts: one for each iteration, one for Figure 3, one held out
    input:
        raw=expand("results/{{study}}/data/raw/prompts/{source}.parquet", source=DATA.prompts),
        evaluation_prompts=evaluation_prompts(),
    output:
        pool="results/{study}/data/prompts/pool.parquet",
        iterations=expand("results/{{study}}/data/prompts/iter{t}.parquet", t=range(1, ITERATIONS + 1)),
        length_bias="results/{study}/data/prompts/length_bias.parquet",
        held_out="results/{study}/data/prompts/held_out.parquet",
        dropped="results/{study}/data/dropped_prompts.parquet",
    log:
        "results/{study}/logs/select_prompts.log",
    benchmark:
        "results/{study}/benchmarks/select_prompts.tsv"
    resources:
        mem_mb=memory_mb("select_prompts"),
        runtime=resource("select_prompts", "hours") * 60,
    params:
        names=list(DATA.prompts),
        sizes=flags(
            {
                "iterations": ITERATIONS,
                "prompts_per_iteration": DATA.prompts_per_iteration,
                "length_bias": STUDY.evaluation.length_bias_prompts if STUDY.evaluation else 1,
                "validation": DATA.validation_prompts,
                "test": DATA.test_prompts,
                "caps": {name: source.cap for name, source in DATA.prompts.items() if source.cap} or None,
                "seed": STUDY.seed,
            }
        ),
        decontamination=decontamination_flags(),
        near_duplicates=flags(DATA.near_duplicates, "near_duplicates."),
        code=code_digest("scripts.data.select_prompts"),
    shell:
        "python -m scripts.data.select_prompts --raw {input.raw} --names {params.names} {params.sizes}"
        " {params.decontamination} {params.near_duplicates} --memory-mb {resources.mem_mb} --dropped {output.dropped}"
        " --pool {output.pool} --iteration-outputs {output.iterations} --length-bias-output {output.length_bias}"
        " --held-out-output {output.held_out} > {log} 2>&1"
