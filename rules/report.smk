# Tables and figures beside the paper's, and the page that holds them.


rule tabulate_reward_models:  # Table 1
    input:
        scores=expand("results/{{study}}/evaluation/reward_bench/{judge}.parquet", judge=JUDGES),
    output:
        table="results/{study}/tables/table1_reward_models.csv",
        markdown="results/{study}/tables/table1_reward_models.md",
        subsets="results/{study}/tables/table1_subsets.csv",
        differences="results/{study}/tables/table1_differences.csv",
    log:
        "results/{study}/logs/tabulate_reward_models.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_reward_models.tsv"
    params:
        models=judge_flags(),
        seed=STUDY.seed,
        code=code_digest("scripts.report.tabulate_reward_models"),
    shell:
        "python -m scripts.report.tabulate_reward_models {params.models} --scores {input.scores}"
        " --seed {params.seed} --table {output.table} --markdown {output.markdown} --subsets {output.subsets}"
        " --differences {output.differences} > {log} 2>&1"


rule tabulate_position_bias:
    input:
        scores=expand("results/{{study}}/evaluation/reward_bench/{judge}.parquet", judge=COMPARING),
    output:
        table="results/{study}/tables/position_bias.csv",
    log:
        "results/{study}/logs/tabulate_position_bias.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_position_bias.tsv"
    params:
        models=COMPARING,
        seed=STUDY.seed,
        code=code_digest("scripts.report.tabulate_position_bias"),
    shell:
        "python -m scripts.report.tabulate_position_bias --models {params.models} --scores {input.scores}"
        " --seed {params.seed} --table {output.table} > {log} 2>&1"


rule tabulate_held_out:
    input:
        scores=expand("results/{{study}}/evaluation/held_out/{judge}.parquet", judge=trained_judges()),
    output:
        table="results/{study}/tables/reward_models_held_out.csv",
    log:
        "results/{study}/logs/tabulate_held_out.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_held_out.tsv"
    params:
        models=trained_judges(),
        seed=STUDY.seed,
        code=code_digest("scripts.report.tabulate_held_out"),
    shell:
        "python -m scripts.report.tabulate_held_out --models {params.models} --scores {input.scores}"
        " --seed {params.seed} --table {output.table} > {log} 2>&1"


rule tabulate_policies:  # Table 2 (every policy), Table 4 (the chosen policy of every run)
    input:
        measures=expand("results/{{study}}/evaluation/measures/{policy}.parquet", policy=POLICIES),
        best=expand("results/{{study}}/runs/{run}/best", run=ONLINE),
    output:
        table2="results/{study}/tables/table2_policies.csv",
        table4="results/{study}/tables/table4_length_penalty.csv",
        differences="results/{study}/tables/table2_differences.csv",
    log:
        "results/{study}/logs/tabulate_policies.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_policies.tsv"
    params:
        policies=POLICIES,
        runs=run_flags(),
        judge=lambda w: STUDY.evaluation.judge,
        seed=STUDY.seed,
        code=code_digest("scripts.report.tabulate_policies"),
    shell:
        "python -m scripts.report.tabulate_policies --policies {params.policies} --measures {input.measures}"
        " {params.runs} --best {input.best} --judge {params.judge} --seed {params.seed}"
        " --table2 {output.table2} --table4 {output.table4} --differences {output.differences} > {log} 2>&1"


rule tabulate_academic:  # Table 3, the academic columns of Table 4, Table 6
    input:
        scores=expand("results/{{study}}/evaluation/academic/{policy}/scores.parquet", policy=academic_policies()),
        samples=expand("results/{{study}}/evaluation/academic/{policy}/samples.parquet", policy=academic_policies()),
        best=expand("results/{{study}}/runs/{run}/best", run=ONLINE),
    output:
        table3="results/{study}/tables/table3_academic.csv",
        differences="results/{study}/tables/table3_differences.csv",
        table4="results/{study}/tables/table4_academic.csv",
        table6="results/{study}/tables/table6_benchmarks.csv",
    log:
        "results/{study}/logs/tabulate_academic.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_academic.tsv"
    params:
        policies=academic_policies(),
        runs=run_flags(),
        chat=flags({"chat": list(CHAT)}) if CHAT else "",
        seed=STUDY.seed,
        code=code_digest("scripts.report.tabulate_academic"),
    shell:
        "python -m scripts.report.tabulate_academic --policies {params.policies} --scores {input.scores}"
        " --samples {input.samples} {params.runs} --best {input.best} {params.chat} --seed {params.seed}"
        " --table3 {output.table3} --differences {output.differences} --table4 {output.table4}"
        " --table6 {output.table6} > {log} 2>&1"


rule tabulate_chat:  # Table 2 as the paper has it, and the chat columns of Table 4
    input:
        scores=[
            f"results/{{study}}/evaluation/{benchmark}/scores/{annotator}/{policy}.json"
            for benchmark, section in CHAT.items()
            for annotator in section.judges
            for policy in COMPARED
        ],
        paired=[
            f"results/{{study}}/evaluation/{benchmark}/scores/{section.judges[0]}/differences.csv"
            for benchmark, section in CHAT.items()
        ],
        best=expand("results/{{study}}/runs/{run}/best", run=ONLINE),
    output:
        table2="results/{study}/tables/table2_chat.csv",
        table4="results/{study}/tables/table4_chat.csv",
        differences="results/{study}/tables/chat_differences.csv",
    log:
        "results/{study}/logs/tabulate_chat.log",
    benchmark:
        "results/{study}/benchmarks/tabulate_chat.tsv"
    params:
        policies=COMPARED,
        runs=run_flags(),
        first=flags({"first": {benchmark: section.judges[0] for benchmark, section in CHAT.items()}}),
        code=code_digest("scripts.report.tabulate_chat"),
    shell:
        "python -m scripts.report.tabulate_chat --policies {params.policies} {params.runs} --best {input.best}"
        " {params.first} --scores {input.scores} --paired {input.paired} --table2 {output.table2}"
        " --table4 {output.table4} --differences {output.differences} > {log} 2>&1"


rule plot_length_bias:  # Figure 3
    input:
        responses=lambda w: responses(w.study, "sft", "length_bias", "length_bias"),
        rewards=length_bias_rewards,
        gold=length_bias_gold,
    output:
        table="results/{study}/tables/figure3_length_bias.csv",
        figure="results/{study}/figures/figure3_length_bias.svg",
    log:
        "results/{study}/logs/plot_length_bias.log",
    benchmark:
        "results/{study}/benchmarks/plot_length_bias.tsv"
    params:
        models=reward_model_flags(),
        seed=STUDY.seed,
        gold="--gold" if STUDY.world else "",
        code=code_digest("scripts.report.plot_length_bias"),
    shell:
        "python -m scripts.report.plot_length_bias {params.models} --responses {input.responses}"
        " --rewards {input.rewards} {params.gold} {input.gold} --seed {params.seed}"
        " --table {output.table} --figure {output.figure} > {log} 2>&1"


rule plot_best_of_n:  # over-optimisation: gold against proxy reward
    input:
        responses=lambda w: responses(w.study, "sft", "length_bias", "length_bias"),
        rewards=length_bias_rewards,
        gold=lambda w: length_bias_gold(w)
        or rewards(w.study, "sft", "length_bias", "length_bias", STUDY.evaluation.reward),
    output:
        table="results/{study}/tables/best_of_n.csv",
        figure="results/{study}/figures/best_of_n.svg",
    log:
        "results/{study}/logs/plot_best_of_n.log",
    benchmark:
        "results/{study}/benchmarks/plot_best_of_n.tsv"
    params:
        models=list(STUDY.reward_models),
        seed=STUDY.seed,
        code=code_digest("scripts.report.plot_best_of_n"),
    shell:
        "python -m scripts.report.plot_best_of_n --models {params.models} --responses {input.responses}"
        " --rewards {input.rewards} --gold {input.gold} --seed {params.seed}"
        " --table {output.table} --figure {output.figure} > {log} 2>&1"


rule plot_calibration:
    input:
        scores=expand("results/{{study}}/evaluation/held_out/{judge}.parquet", judge=trained_judges()),
        mixes=[f"results/{{study}}/data/mixes/{JUDGES[judge].mix}.parquet" for judge in trained_judges()],
    output:
        table="results/{study}/tables/calibration.csv",
        reliability="results/{study}/tables/reliability.csv",
        by_length="results/{study}/tables/accuracy_by_length_gap.csv",
        figure="results/{study}/figures/calibration.svg",
    log:
        "results/{study}/logs/plot_calibration.log",
    benchmark:
        "results/{study}/benchmarks/plot_calibration.tsv"
    params:
        models=trained_judges(),
        seed=STUDY.seed,
        code=code_digest("scripts.report.plot_calibration"),
    shell:
        "python -m scripts.report.plot_calibration --models {params.models} --scores {input.scores}"
        " --mixes {input.mixes} --seed {params.seed} --table {output.table} --reliability {output.reliability}"
        " --by-length {output.by_length} --figure {output.figure} > {log} 2>&1"


rule plot_agreement:
    input:
        scores=expand("results/{{study}}/evaluation/reward_bench/{judge}.parquet", judge=JUDGES),
    output:
        table="results/{study}/tables/agreement.csv",
        figure="results/{study}/figures/agreement.svg",
    log:
        "results/{study}/logs/plot_agreement.log",
    benchmark:
        "results/{study}/benchmarks/plot_agreement.tsv"
    params:
        models=list(JUDGES),
        seed=STUDY.seed,
        code=code_digest("scripts.report.plot_agreement"),
    shell:
        "python -m scripts.report.plot_agreement --models {params.models} --scores {input.scores}"
        " --seed {params.seed} --table {output.table} --figure {output.figure} > {log} 2>&1"


rule plot_iterations:  # Figure 8
    input:
        table="results/{study}/tables/table2_policies.csv",
    output:
        figure="results/{study}/figures/figure8_iterations.svg",
        data="results/{study}/figures/figure8_iterations.csv",
    log:
        "results/{study}/logs/plot_iterations.log",
    benchmark:
        "results/{study}/benchmarks/plot_iterations.tsv"
    params:
        code=code_digest("scripts.report.plot_iterations"),
    shell:
        "python -m scripts.report.plot_iterations --table {input.table} --figure {output.figure} --data {output.data}"
        " > {log} 2>&1"


rule plot_drift:  # the monitors of all iterations
    input:
        monitors=expand("results/{{study}}/evaluation/monitors/{policy}.parquet", policy=TRAINED),
    output:
        table="results/{study}/tables/monitors.csv",
        figure="results/{study}/figures/drift.svg",
    log:
        "results/{study}/logs/plot_drift.log",
    benchmark:
        "results/{study}/benchmarks/plot_drift.tsv"
    params:
        policies=TRAINED,
        limits=limit_flags(),
        code=code_digest("scripts.report.plot_drift"),
    shell:
        "python -m scripts.report.plot_drift --policies {params.policies} --monitors {input.monitors}"
        " {params.limits} --table {output.table} --figure {output.figure} > {log} 2>&1"


rule plot_preferences:  # lengths, margins, and what the filter dropped, by source
    input:
        filter_report="results/{study}/tables/filter_report.csv",
        filter_totals="results/{study}/tables/filter_totals.csv",
        length_gaps="results/{study}/tables/length_gaps.csv",
        length_histograms="results/{study}/tables/length_histograms.csv",
        margin_histograms="results/{study}/tables/margin_histograms.csv",
    output:
        **{name: f"results/{{study}}/figures/{name}.svg" for name in PREFERENCE_FIGURES},
    log:
        "results/{study}/logs/plot_preferences.log",
    benchmark:
        "results/{study}/benchmarks/plot_preferences.tsv"
    params:
        files=lambda w, input, output: f"{named_files(input)} {named_files(output)}",
        max_tokens=DATA.max_tokens,
        code=code_digest("scripts.report.plot_preferences"),
    shell:
        "python -m scripts.report.plot_preferences {params.files} --max-tokens {params.max_tokens} > {log} 2>&1"


rule plot_prompts:  # Figure 5
    input:
        prompts="results/{study}/data/prompts/pool.parquet",
        embedding=["results/{study}/models/embedding"] if STUDY.models.embedding else [],
    output:
        topics="results/{study}/tables/figure5_topics.csv",
        figure="results/{study}/figures/figure5_prompts.svg",
        data="results/{study}/figures/figure5_prompts.csv",
    log:
        "results/{study}/logs/plot_prompts.log",
    benchmark:
        "results/{study}/benchmarks/plot_prompts.tsv"
    conda:
        "../envs/inference.yaml"
    container:
        "envs/inference.sif"
    threads: resource("plot_prompts", "threads")
    resources:
        gpu=resource("plot_prompts", "gpus"),
        mem_mb=memory_mb("plot_prompts"),
        runtime=resource("plot_prompts", "hours") * 60,
    params:
        embedding=lambda w, input: f"--embedding {input.embedding}" if input.embedding else "",
        seed=STUDY.seed,
        code=code_digest("scripts.report.plot_prompts"),
    shell:
        "python -m scripts.report.plot_prompts --prompts {input.prompts} {params.embedding} --seed {params.seed}"
        " --topics {output.topics} --figure {output.figure} --data {output.data} > {log} 2>&1"


rule plot_training:  # Figures 6 and 7
    input:
        models=expand("results/{{study}}/models/reward/{reward}", reward=trained_reward_models())
        + expand("results/{{study}}/models/preference/{preference}", preference=STUDY.preference_models),
    output:
        figure="results/{study}/figures/figure6_7_training.svg",
        data="results/{study}/figures/figure6_7_training.csv",
    log:
        "results/{study}/logs/plot_training.log",
    benchmark:
        "results/{study}/benchmarks/plot_training.tsv"
    params:
        names=[*trained_reward_models(), *STUDY.preference_models],
        code=code_digest("scripts.report.plot_training"),
    shell:
        "python -m scripts.report.plot_training --models {params.names} --folders {input.models}"
        " --figure {output.figure} --data {output.data} > {log} 2>&1"


rule compare_to_paper:  # the paper's printed numbers beside the study's
    input:
        **compared_tables(),
    output:
        table="results/{study}/tables/compare_to_paper.csv",
        text="results/{study}/tables/compare_to_paper.md",
    log:
        "results/{study}/logs/compare_to_paper.log",
    benchmark:
        "results/{study}/benchmarks/compare_to_paper.tsv"
    params:
        files=lambda w, input: named_files(input),
        table7=flags({"table7": dpo_parameters() or None}),
        code=code_digest("scripts.report.compare_to_paper"),
    shell:
        "python -m scripts.report.compare_to_paper {params.files} {params.table7} --table {output.table}"
        " --text {output.text} > {log} 2>&1"


rule plot_evaluation:  # Figure 9
    input:
        table="results/{study}/tables/compare_to_paper.csv",
    output:
        figure="results/{study}/figures/figure9_evaluation.svg",
        data="results/{study}/figures/figure9_evaluation.csv",
    log:
        "results/{study}/logs/plot_evaluation.log",
    benchmark:
        "results/{study}/benchmarks/plot_evaluation.tsv"
    params:
        code=code_digest("scripts.report.plot_evaluation"),
    shell:
        "python -m scripts.report.plot_evaluation --table {input.table} --figure {output.figure} --data {output.data}"
        " > {log} 2>&1"


rule export_exhibits:  # the tables and figures of the paper to take away: Markdown, and tables as drawings
    input:
        tables=expand("results/{{study}}/tables/{name}.csv", name=exhibits()["tables"]),
        figures=expand("results/{{study}}/figures/{name}.csv", name=exhibits()["figures"]),
    output:
        drawings=expand("results/{{study}}/tables/{name}.svg", name=exhibits()["tables"] or ["none"]),
        texts=expand("results/{{study}}/tables/{name}.md", name=exhibits()["tables"] or ["none"])
        + expand("results/{{study}}/figures/{name}.md", name=exhibits()["figures"]),
    log:
        "results/{study}/logs/export_exhibits.log",
    benchmark:
        "results/{study}/benchmarks/export_exhibits.tsv"
    params:
        judge=STUDY.evaluation.judge if STUDY.evaluation else "reward",
        code=code_digest("scripts.report.export_exhibits"),
    shell:
        "python -m scripts.report.export_exhibits --judge {params.judge} --tables {input.tables}"
        " --figures {input.figures} --drawings {output.drawings} --texts {output.texts} > {log} 2>&1"


rule select_case_studies:  # Figures 10-12: where the first offline and the first online run answer most differently
    input:
        prompts="results/{study}/data/prompts/held_out.parquet",
        offline=lambda w: f"results/{w.study}/evaluation/measures/{OFFLINE[0]}-iter1.parquet",
        online=lambda w: measures_of(w.study, ONLINE[0]),
        best=lambda w: f"results/{w.study}/runs/{ONLINE[0]}/best",
    output:
        cases="results/{study}/evaluation/case_studies.parquet",
    log:
        "results/{study}/logs/select_case_studies.log",
    benchmark:
        "results/{study}/benchmarks/select_case_studies.tsv"
    params:
        judge=lambda w: STUDY.evaluation.judge,
        code=code_digest("scripts.report.select_case_studies"),
    shell:
        "python -m scripts.report.select_case_studies --prompts {input.prompts} --offline {input.offline}"
        " --online {input.online} --best {input.best} --judge {params.judge} --output {output.cases} > {log} 2>&1"


rule build_page:
    input:
        **page_inputs(),
    output:
        page="results/{study}/report/index.html",
    log:
        "results/{study}/logs/build_page.log",
    benchmark:
        "results/{study}/benchmarks/build_page.tsv"
    params:
        files=lambda w, input: named_files(input),
        seed=STUDY.seed,
        judge=STUDY.evaluation.judge if STUDY.evaluation else "reward",
        code=code_digest("scripts.report.build_page"),
    shell:
        "python -m scripts.report.build_page --study {wildcards.study} --seed {params.seed} --judge {params.judge}"
        " --folder results/{wildcards.study} {params.files} --output {output.page} > {log} 2>&1"


rule build_catalog:  # one DuckDB file with views of all tables
    input:
        tables=catalog_tables(),
    output:
        catalog="results/{study}/catalog.duckdb",
    log:
        "results/{study}/logs/build_catalog.log",
    benchmark:
        "results/{study}/benchmarks/build_catalog.tsv"
    params:
        code=code_digest("scripts.report.build_catalog"),
    shell:
        "python -m scripts.report.build_catalog --folder results/{wildcards.study} --tables {input.tables}"
        " --output {output.catalog} > {log} 2>&1"


rule tabulate_regret:  # the linear case of Algorithm 1, of which rules/theory.smk knows the configuration
    input:
        regret=lambda w: expand("results/theory/regret/{coverage}.parquet", coverage=THEORY.coverages),
    output:
        table="results/theory/tables/regret.csv",
        slopes="results/theory/tables/regret_slopes.csv",
        page="results/theory/regret.md",
    log:
        "results/theory/logs/tabulate_regret.log",
    benchmark:
        "results/theory/benchmarks/tabulate_regret.tsv"
    params:
        theory=lambda w: flags(THEORY, "theory."),
        code=code_digest("scripts.report.tabulate_regret"),
    shell:
        "python -m scripts.report.tabulate_regret --regret {input.regret} {params.theory} --table {output.table}"
        " --slopes {output.slopes} --page {output.page} > {log} 2>&1"


rule plot_regret:
    input:
        table="results/theory/tables/regret.csv",
        slopes="results/theory/tables/regret_slopes.csv",
    output:
        figure="results/theory/regret.svg",
    log:
        "results/theory/logs/plot_regret.log",
    benchmark:
        "results/theory/benchmarks/plot_regret.tsv"
    params:
        code=code_digest("scripts.report.plot_regret"),
    shell:
        "python -m scripts.report.plot_regret --table {input.table} --slopes {input.slopes} --figure {output.figure}"
        " > {log} 2>&1"
