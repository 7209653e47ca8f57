# The base model with its tokenizer and chat template, and pi_0 (Section 3.1).


localrules:
    retrieve_model,
    retrieve_other_model,


rule train_base:  # the demo's base model: a small Llama pretrained on the world's documents
    input:
        documents="results/{study}/world/raw/documents.jsonl.gz",
    output:
        base=directory("results/{study}/world/base"),
    log:
        "results/{study}/logs/train_base.log",
    benchmark:
        "results/{study}/benchmarks/train_base.tsv"
    params:
        size=lambda w: flags({"hidden": STUDY.world.hidden, "layers": STUDY.world.layers}),
        optimisation=lambda w: flags(STUDY.world.optimisation, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.world.train_base"),
    shell:
        "python -m scripts.world.train_base --documents {input.documents} {params.size} {params.optimisation}"
        " --seed {params.seed} --output {output.base} > {log} 2>&1"


rule create_base:  # for trials on real data without a hub: random weights, a tokenizer of the data's own text
    input:
        texts=expand("results/{{study}}/data/raw/preferences/{source}.parquet", source=DATA.preferences),
    output:
        base=directory("results/{study}/models/scratch"),
    log:
        "results/{study}/logs/create_base.log",
    benchmark:
        "results/{study}/benchmarks/create_base.tsv"
    params:
        template=STUDY.models.chat_template,
        template_digest=digest(ROOT / STUDY.models.chat_template),
        seed=STUDY.seed,
        code=code_digest("scripts.sft.create_base"),
    shell:
        "python -m scripts.sft.create_base --texts {input.texts} --chat-template {ROOT}/{params.template}"
        " --seed {params.seed} --output {output.base} > {log} 2>&1"


rule retrieve_model:
    input:
        local=lambda w: local_input(getattr(STUDY.models, w.pretrained)),
    output:
        model=directory("results/{study}/models/{pretrained}"),
    log:
        "results/{study}/logs/retrieve_model/{pretrained}.log",
    benchmark:
        "results/{study}/benchmarks/retrieve_model/{pretrained}.tsv"
    params:
        origin=lambda w: origin_flags(getattr(STUDY.models, w.pretrained), keys=("hub", "revision")),
        template=STUDY.models.chat_template,
        template_digest=digest(ROOT / STUDY.models.chat_template),
        code=code_digest("scripts.sft.retrieve_model"),
    shell:
        "python -m scripts.sft.retrieve_model {params.origin} --chat-template {ROOT}/{params.template}"
        " --output {output.model} > {log} 2>&1"


rule retrieve_other_model:  # a baseline of Table 2, or a judge that runs in this study; with its own chat template
    input:
        local=lambda w: local_input(other_model(w.role, w.other)),
    output:
        model=directory("results/{study}/models/{role}/{other}"),
    log:
        "results/{study}/logs/retrieve_other_model/{role}-{other}.log",
    benchmark:
        "results/{study}/benchmarks/retrieve_other_model/{role}-{other}.tsv"
    params:
        origin=lambda w: origin_flags(other_model(w.role, w.other), keys=("hub", "revision")),
        code=code_digest("scripts.sft.retrieve_model"),
    shell:
        "python -m scripts.sft.retrieve_model {params.origin} --output {output.model} > {log} 2>&1"


rule train_sft:
    input:
        instructions="results/{study}/data/instructions.parquet",
        base="results/{study}/models/base",
    output:
        policy=directory("results/{study}/models/sft"),
    log:
        "results/{study}/logs/train_sft.log",
    benchmark:
        "results/{study}/benchmarks/train_sft.tsv"
    conda:
        "../envs/train.yaml"
    container:
        "envs/train.sif"
    threads: resource("train_sft", "threads")
    resources:
        **training_resources("train_sft"),
    params:
        launch=python_module("train_sft"),
        optimisation=lambda w: flags(STUDY.sft, "optimisation."),
        seed=STUDY.seed,
        code=code_digest("scripts.sft.train_sft"),
    shell:
        "{params.launch} scripts.sft.train_sft --instructions {input.instructions} --base {input.base}"
        " {params.optimisation} --seed {params.seed} --output {output.policy} > {log} 2>&1"
