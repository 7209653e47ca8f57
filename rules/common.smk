# The validated configuration, the names of paths, and the input functions: they live here and nowhere else.

import os
import re
import shlex
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
# glibc returns each freed tensor to the system and asks for it again; on a CPU that is half of the time of training.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1000000000")
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "2000000000")
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

from snakemake.exceptions import WorkflowError

from scripts.common import config as sections  # `config` itself is Snakemake's
from scripts.common import local_gpus, site
from scripts.common.errors import StudyError
from scripts.common.files import check_writable
from scripts.common.launch import launcher
from scripts.common.provenance import code_digest, digest
from scripts.common.rollouts import roles

try:
    check_writable(Path())  # before Snakemake makes its own folder there
    STUDY = sections.load(config)
except StudyError as error:
    raise WorkflowError(str(error)) from None


onstart:
    check_surroundings()
    if open_ended := sections.unpinned(STUDY):
        print(f"warning: {len(open_ended)} revisions are not pinned, `make pin` does it: {'; '.join(open_ended)}")


DATA = STUDY.data
if not any(needs.gpus for needs in STUDY.resources.values()):
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a study that asks for no GPU computes on the CPU, whatever is there
PREFERENCE_TABLES = ["table5_preference_data", "filter_report", "filter_totals", "length_statistics", "length_gaps"]
PREFERENCE_TABLES += ["length_cuts", "length_histograms", "margin_histograms"]
PREFERENCE_FIGURES = ["preference_lengths", "preference_margins", "filtered_pairs"]
OFFLINE = [name for name, run in STUDY.runs.items() if not run.online]
ONLINE = [name for name, run in STUDY.runs.items() if run.online]
TRAINED = [f"{name}-iter{t}" for name, run in STUDY.runs.items() for t in range(1, run.iterations + 1)]
POLICIES = (["sft"] if STUDY.sft else []) + TRAINED
JUDGES = {**STUDY.prompted_judges, **STUDY.reward_models, **STUDY.preference_models}  # in the order of Table 1
COMPARING = [*STUDY.prompted_judges, *STUDY.preference_models]  # those that read two responses at once
LOCAL_JUDGES = [name for name, judge in JUDGES.items() if not getattr(judge, "endpoint", None)]
CHAT = STUDY.evaluation.chat.benchmarks if STUDY.evaluation and STUDY.runs else {}
CHAT_TABLES = ["table2_chat", "table4_chat", "chat_differences"]
ANNOTATORS = STUDY.evaluation.judges if STUDY.evaluation else {}  # who judges the answers to chat benchmarks
BASELINES = STUDY.evaluation.baselines if STUDY.evaluation else {}
COMPARED = [*POLICIES, *BASELINES]  # the rows of Table 2
ITERATIONS = max((STUDY.runs[name].iterations for name in ONLINE), default=0)
# runs whose sampler generates with the policy as it was after its first epoch; train_dpo publishes it for them
BY_EPOCH = [name for name in ONLINE if any(a.policy == "epoch1" for a in STUDY.samplers[STUDY.runs[name].sampler])]


wildcard_constraints:
    study=STUDY.study,
    collection="preferences|instructions|prompts|benchmarks|answers|calibration",
    source="[a-z0-9_]+",
    mix="|".join(DATA.mixes) or "none",
    pretrained="base|instruct|embedding",
    reward="|".join(STUDY.reward_models) or "none",
    preference="|".join(STUDY.preference_models) or "none",
    judge="|".join(LOCAL_JUDGES) or "none",
    asked="|".join(name for name in JUDGES if name not in LOCAL_JUDGES) or "none",
    pairs="reward_bench|held_out",
    run="|".join(STUDY.runs) or "none",
    benchmark="|".join(CHAT) or "none",
    annotator="|".join(ANNOTATORS) or "none",
    role="baselines|annotators",
    policy="|".join([*COMPARED, *(f"{run}-best" for run in ONLINE), *(f"{run}-iter[0-9]+-epoch1" for run in BY_EPOCH)])
    or "none",
    sampler="[a-z0-9_]+",
    prompts=r"iter\d+|held_out|length_bias",
    t=r"\d+",
    shard=r"\d+",


# --- the command line of a module ---------------------------------------------------------------------------------------


def flags(section, prefix=""):
    """A section of the configuration as command-line flags: what is printed can be pasted into a shell and debugged."""
    values = section if isinstance(section, dict) else {k: getattr(section, k) for k in type(section).model_fields}
    words = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", "-")
        if value is None:
            continue
        if hasattr(value, "model_fields"):
            words.append(flags(value, f"{prefix}{key}."))
        elif isinstance(value, bool):
            words.append(
                f"--{name}" if value else "--" + ".".join([*name.split(".")[:-1], "no-" + name.split(".")[-1]])
            )
        elif isinstance(value, dict):
            words.append(f"--{name} " + " ".join(f"{k} {shlex.quote(str(v))}" for k, v in value.items()))
        elif isinstance(value, list):
            words.append(f"--{name} " + " ".join(shlex.quote(str(v)) for v in value))
        else:
            words.append(f"--{name} {shlex.quote(str(value))}")
    return " ".join(words)


def unrecorded(words):
    """A parameter that says where a job runs, not what it makes: those that take `resources` make no artifact stale."""
    return lambda wildcards, resources: words


def python_module(rule):
    """How a rule's training module starts on the GPUs that it asks for; on the CPU where it asks for none."""
    gpus = resource(rule, "gpus")
    devices = f"GPUS_ASKED={gpus}" if gpus else "CUDA_VISIBLE_DEVICES="
    return unrecorded(f"{devices} {launcher(gpus, resource(rule, 'nodes'), resource(rule, 'threads'))}")


def resource(rule, name):
    """gpus, threads or hours of a rule's jobs, from the configuration; `train_dpo_by_epoch` has those of `train_dpo`."""
    return getattr(STUDY.resources.get(rule.removesuffix("_by_epoch"), sections.Resources()), name)


def vllm(rule):
    """How a rule's jobs start vLLM: as the study says, tensor parallel over the GPUs that the rule asks for."""
    return unrecorded(flags({**dict(STUDY.vllm), "tensor_parallel": max(resource(rule, "gpus"), 1)}, "vllm."))


def memory_mb(rule):
    """Memory of a rule's jobs: what the configuration says, and as much again on each further attempt, to its limit."""
    needs = STUDY.resources.get(rule, sections.Resources())
    return lambda w, attempt: 1024 * min(needs.memory_gb * attempt, needs.memory_limit_gb or float("inf"))


def training_resources(rule):
    """GPUs, memory and time of a training job; on several nodes srun starts one launcher on each."""
    needs = {"mem_mb": memory_mb(rule), "runtime": resource(rule, "hours") * 60}
    nodes, gpus = resource(rule, "nodes"), resource(rule, "gpus")
    if nodes == 1:
        return {"gpu": gpus, **needs}
    return {"mpi": "srun", "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0, "gres": f"gpu:{gpus}", **needs}


def check_surroundings():
    """Once, before the first job: results can be written, and cluster or machine has what the jobs will ask for."""
    rules = sorted({job.rule.name for job in workflow.dag.needrun_jobs()})
    gpus = {rule: resource(rule, "gpus") for rule in rules}
    limit = workflow.global_resources.get("gpu")
    try:
        check_writable(Path("results"))
        if workflow.executor_plugin.name == "slurm":
            file = Path(workflow.executor_settings.partition_config or ROOT / "profiles/slurm/site.yaml")
            site.check(file, gpus)
            ask_as_the_site_says(file)
        elif workflow.executor_plugin.name == "local":
            local_gpus.check(gpus, limit and limit.value)
    except StudyError as error:
        raise WorkflowError(str(error)) from None


def ask_as_the_site_says(file):
    """Give account, type of GPU and the like to the jobs: which file says so Snakemake knows only when it starts."""
    found = site.read(file)
    for job in workflow.dag.needrun_jobs():
        wanted = site.wanted(found, resource(job.rule.name, "gpus"), resource(job.rule.name, "nodes"))
        for name, value in wanted.items():
            job.rule.resources[name] = value
        job.attempt = job.attempt  # its resources are worked out anew


# --- data ---------------------------------------------------------------------------------------------------------------


def benchmarks():
    """Every evaluation set of the study by its name; raw files lie in data/raw/benchmarks/{name}.parquet."""
    if not STUDY.evaluation:
        return {}
    rows = {name: task.data for name, task in academic_tasks().items()}
    examples = {f"{name}_examples": task.examples for name, task in academic_tasks().items() if task.examples}
    chat = {name: benchmark.questions for name, benchmark in CHAT.items()}
    return {"reward_bench": STUDY.evaluation.reward_bench, **chat, **rows, **examples}


def academic_tasks():
    return STUDY.evaluation.academic.tasks if STUDY.evaluation and STUDY.evaluation.academic else {}


def chat_files():
    """What chat benchmarks publish beside their questions, by collection and name; raw files lie as those of sources."""
    chat = STUDY.evaluation.chat if CHAT else sections.Chat()
    found = {"answers": {}, "calibration": {}}
    if chat.mt_bench and chat.mt_bench.references:
        found["answers"]["mt_bench"] = chat.mt_bench.references
    if chat.arena_hard:
        found["answers"]["arena_hard"] = chat.arena_hard.baseline
    if chat.alpaca_eval:
        files = {"difficulty": chat.alpaca_eval.difficulty, "gamed": chat.alpaca_eval.gamed}
        found["calibration"] = {name: where for name, where in files.items() if where}
    return found


def origin(collection, source):
    named = {"preferences": DATA.preferences, "instructions": DATA.instructions, "prompts": DATA.prompts}
    return {**named, "benchmarks": benchmarks(), **chat_files()}[collection][source]


def local_copy(where):
    """The file or folder on disk that an origin names: `{study}` and environment variables filled in."""
    path = os.path.expandvars(where.local.format(study=STUDY.study))
    if "$" in path:
        raise WorkflowError(f"{where.local}: set the environment variable that this path of the configuration names.")
    return path


def local_input(where):
    """What a retrieving rule depends on: the copy on disk, or nothing where it comes from the hub."""
    return [local_copy(where)] if where.local else []


def origin_flags(where, keys=("hub", "revision", "subset", "files", "split")):
    if where.local:
        return f"--local {shlex.quote(local_copy(where))}"
    return flags({key: getattr(where, key) for key in keys})


def template_digest(chat_template):
    """What a chat template says; None where a model has its own."""
    return chat_template and digest(ROOT / chat_template)


def adapter(source):
    """Whose SQL reads a preference source: the one that the catalogue or the study names, or its own."""
    return DATA.preferences[source].adapter or source


def asked_benchmarks():
    """The evaluation sets whose prompts must not be trained on; few-shot examples come from sets for training."""
    return [name for name in benchmarks() if not name.endswith("_examples")]


def evaluation_prompts():
    """The prompts that must not be trained on, where the study has any and wants to know."""
    wanted = DATA.decontamination and asked_benchmarks()
    return ["results/{study}/data/evaluation_prompts.parquet"] if wanted else []


def decontamination_flags():
    """Empty where nothing is looked for; the file has to be named on the command line, so that it can be pasted."""
    wanted = [f"--evaluation-prompts {path.format(study=STUDY.study)}" for path in evaluation_prompts()]
    return " ".join([*wanted, flags(DATA.decontamination, "decontamination.")]) if wanted else ""


def near_duplicates_flags(source):
    """Empty where the pairs of a source may have prompts that are nearly the same."""
    wanted = DATA.preferences[source].drop_near_duplicates
    return "--drop-near-duplicates " + flags(DATA.near_duplicates, "near_duplicates.") if wanted else ""


def preference_tables(mix):
    return [f"results/{{study}}/data/preferences/{source}.parquet" for source in DATA.mixes[mix].sources]


def comparison_tokens(mix):
    """The longest comparison to keep of a mix: the block of the preference model that learns from it."""
    blocks = [model.optimisation.max_tokens for model in STUDY.preference_models.values() if model.mix == mix]
    return min(blocks, default=DATA.max_tokens)


# --- who says which response is better ----------------------------------------------------------------------------------


def trained_reward_models():
    return [name for name, model in STUDY.reward_models.items() if not model.external]


def external_reward_models():
    return [name for name, model in STUDY.reward_models.items() if model.external]


def judge_kind(judge):
    """reward, preference or prompted."""
    if judge in STUDY.reward_models:
        return "reward"
    return "preference" if judge in STUDY.preference_models else "prompted"


def judge_folder(w):
    kind = judge_kind(w.judge)
    return f"results/{w.study}/models/" + (JUDGES[w.judge].policy if kind == "prompted" else f"{kind}/{w.judge}")


def judge_orders(w):
    """Whether a judge that reads two responses reads them in both orders."""
    return "" if judge_kind(w.judge) == "reward" else flags({"both_orders": JUDGES[w.judge].both_orders})


def known_pairs(w):
    """RewardBench, or the mix that a model was trained on."""
    if w.pairs == "reward_bench":
        return f"results/{w.study}/data/raw/benchmarks/reward_bench.parquet"
    if judge_kind(w.judge) == "prompted":
        raise WorkflowError(
            f"prompted_judges.{w.judge} has no mix, so no held-out pairs; it is scored on reward_bench."
        )
    return f"results/{w.study}/data/mixes/{JUDGES[w.judge].mix}.parquet"


def trained_judges():
    """The judges that have a mix of their own, and so held-out pairs."""
    return [*STUDY.reward_models, *STUDY.preference_models]


# --- the loop -----------------------------------------------------------------------------------------------------------


def samplers():
    """The named samplers, and the two that the evaluation uses."""
    fixed = {}
    if STUDY.evaluation:
        fixed["evaluation"] = [sections.Actor(temperature=STUDY.evaluation.temperature, n=1)]
        fixed["length_bias"] = [sections.Actor(temperature=1.0, n=STUDY.evaluation.length_bias_responses)]
    return {**STUDY.samplers, **fixed}


def named_policy(policy):
    """(run, t, folder) of iteration t's policy, `{run}-iter{t}`; after its first epoch it is `{run}-iter{t}-epoch1`."""
    run, t, epoch1 = re.fullmatch(r"(.+?)-iter(\d+)(-epoch1)?", policy).groups()
    return run, int(t), "epoch1" if epoch1 else "policy"


def policy_folder(study, policy):
    if policy == "sft":  # pi_0
        return f"results/{study}/models/sft"
    if policy.endswith("-best"):  # the iteration that validation prompts chose
        return f"results/{study}/runs/{policy.removesuffix('-best')}/best"
    if policy in BASELINES:
        return f"results/{study}/models/baselines/{policy}"
    run, t, folder = named_policy(policy)
    return f"results/{study}/runs/{run}/iter{t}/{folder}"


def last_policy(run, t):
    """The policy that iteration t of a run generates with and, by default, starts from."""
    return "sft" if t <= 1 else f"{run}-iter{t - 1}"


def policy_before(policy):
    """The policy that the iteration which made this one started from."""
    run, t, _ = named_policy(policy)
    return last_policy(run, t)


def measures_of(study, run):
    """The measured answers of a run's policies, first iteration first."""
    iterations = range(1, STUDY.runs[run].iterations + 1)
    return [f"results/{study}/evaluation/measures/{run}-iter{t}.parquet" for t in iterations]


def has_limits(run):
    return bool(STUDY.evaluation) and any(limit is not None for _, limit in STUDY.runs[run].limits)


def limits_kept(study, policy):
    """What must exist before anything is built on a policy: its run is within its limits, where it has any."""
    if policy == "sft":
        return []
    run, t, _ = named_policy(policy)
    return [f"results/{study}/runs/{run}/iter{t}/within_limits.json"] if has_limits(run) else []


def initial_policy(w):
    policy = "sft" if STUDY.runs[w.run].initialise == "sft" else last_policy(w.run, int(w.t))
    return policy_folder(w.study, policy)


def reference_policy(w):
    policy = "sft" if STUDY.runs[w.run].reference == "sft" else last_policy(w.run, int(w.t))
    return policy_folder(w.study, policy)


def academic_policies():
    """Who sits the academic benchmarks: SFT, offline policies, the best iteration of each run or all, and baselines."""
    if not academic_tasks():
        return []
    every = STUDY.evaluation.academic.every_iteration
    fixed = [policy for policy in POLICIES if every or policy.split("-")[0] not in ONLINE]
    return [*fixed, *(f"{run}-best" for run in ONLINE), *BASELINES]


def academic_flags():
    """The academic tasks as parallel lists, a value a task."""
    tasks = academic_tasks().values()
    return flags(
        {
            "tasks": list(academic_tasks()),
            "shots": [task.shots for task in tasks],
            "metrics": [task.metric for task in tasks],
            "chat_templates": [task.chat_template for task in tasks],
            "prompts": [task.prompt for task in tasks],
            "max_new_tokens": [task.max_new_tokens for task in tasks],
        }
    )


def shards(template):
    return [f"{template}/{shard}.parquet" for shard in range(STUDY.generation.shards)]


def responses(study, policy, sampler, prompts):
    return shards(f"results/{study}/rollouts/{policy}/{sampler}/{prompts}/responses")


def rewards(study, policy, sampler, prompts, reward):
    return shards(f"results/{study}/rollouts/{policy}/{sampler}/{prompts}/rewards/{reward}")


def generators(run, t):
    """Who an actor's `policy` is in iteration t of a run."""
    current = last_policy(run, t)
    epoch1 = current if current == "sft" else f"{current}-epoch1"
    return {"current": current, "previous": last_policy(run, t - 1), "epoch1": epoch1}


def rollouts_of(run, t):
    """(policy, sampler, prompt set) of all that iteration t of a run pairs; runs that share them share the files."""
    sampler, named = STUDY.runs[run].sampler, generators(run, t)
    policies = dict.fromkeys(named[actor.policy] for actor in STUDY.samplers[sampler])
    return [(policy, sampler, f"iter{t}") for policy in policies]


def actors(w):
    """The actors of a sampler that a policy speaks for, by their index."""
    speaks_for = roles(w.policy, w.prompts)
    return {index: actor for index, actor in enumerate(samplers()[w.sampler]) if actor.policy in speaks_for}


def training_pairs(w):
    """What a policy learns from: D_off, if there is one, and the pairs of this iteration or of all so far."""
    run, t = STUDY.runs[w.run], int(w.t)
    offline = [f"results/{w.study}/data/mixes/{run.offline}.parquet"] if run.offline else []
    iterations = range(1 if run.history == "all" else t, t + 1) if run.online else []
    return offline + [f"results/{w.study}/runs/{w.run}/iter{s}/pairs.parquet" for s in iterations]


def reward_model_flags():
    """The reward models as Figure 3 names them."""
    mixes = [model.mix for model in STUDY.reward_models.values()]
    return flags({"models": list(STUDY.reward_models), "mixes": mixes, "types": ["BT"] * len(mixes)})


def length_bias_rewards(w):
    """The rewards of the SFT model's responses of Figure 3: all shards of the first reward model, then of the next."""
    found = (rewards(w.study, "sft", "length_bias", "length_bias", reward) for reward in STUDY.reward_models)
    return [shard for shards in found for shard in shards]


def length_bias_gold(w):
    """Their gold rewards, where the study has a world that knows them."""
    return rewards(w.study, "sft", "length_bias", "length_bias", "gold") if STUDY.world else []


def judge_flags():
    """All judges as Table 1 names them."""
    types = {"reward": "BT", "preference": "Preference", "prompted": "Prompting"}
    named = {"models": list(JUDGES), "mixes": [getattr(judge, "mix", "none") for judge in JUDGES.values()]}
    return flags({**named, "types": [types[judge_kind(judge)] for judge in JUDGES]})


def run_flags():
    runs = STUDY.runs.values()
    return flags(
        {
            "runs": list(STUDY.runs),
            "reward_models": [run.reward or "none" for run in runs],
            "length_penalties": [run.length_penalty for run in runs],
        }
    )


def limit_flags():
    """The runs and their limits as plot_drift reads them."""
    limits = [
        ",".join(f"{name}={limit:g}" for name, limit in run.limits if limit is not None) or "none"
        for run in STUDY.runs.values()
    ]
    return flags({"runs": list(STUDY.runs), "limits": limits})


def named_files(files):
    """Named inputs or outputs of a rule as command-line flags of the same names."""
    return " ".join(f"--{name.replace('_', '-')} {paths}" for name, paths in files.items())


# --- chat benchmarks ----------------------------------------------------------------------------------------------------


def other_model(role, name):
    """Where a model comes from that the study does not train: a baseline, or a judge that vLLM runs."""
    return BASELINES[name] if role == "baselines" else ANNOTATORS[name].vllm


def annotator_model(study, annotator):
    """The folder of the model that an annotator is, if it is one."""
    if ANNOTATORS[annotator].vllm:
        return [f"results/{study}/models/annotators/{annotator}"]
    if ANNOTATORS[annotator].preference:
        return [f"results/{study}/models/preference/{ANNOTATORS[annotator].preference}"]
    return []


def annotator_flags(annotator):
    """How an annotator is asked; the key is no flag, it stays in the environment."""
    judge = ANNOTATORS[annotator]
    words = [f"--kind {judge.kind} --verdict {judge.verdict}"]
    words += [flags(judge.endpoint, "endpoint.")] if judge.endpoint else []
    return " ".join(words)


def page_inputs():
    """What the page shows, by the names of build_page's arguments; a study without policies has a shorter page."""
    tables, figures = "results/{study}/tables", "results/{study}/figures"
    shown = {name: f"{tables}/{name}.csv" for name in PREFERENCE_TABLES if not name.endswith("histograms")}
    shown |= {name: f"{figures}/{name}.svg" for name in PREFERENCE_FIGURES}
    if DATA.prompts:
        shown |= {
            "figure5": f"{figures}/figure5_prompts.svg",
            "figure5_topics": f"{tables}/figure5_topics.csv",
        }
    if STUDY.reward_models:
        shown |= {
            "held_out": f"{tables}/reward_models_held_out.csv",
            "figure6_7": f"{figures}/figure6_7_training.svg",
            "calibration": f"{tables}/calibration.csv",
            "calibration_figure": f"{figures}/calibration.svg",
        }
    if STUDY.evaluation:
        shown |= {
            "table1": f"{tables}/table1_reward_models.csv",
            "table1_subsets": f"{tables}/table1_subsets.csv",
            "table1_differences": f"{tables}/table1_differences.csv",
            "figure3": f"{figures}/figure3_length_bias.svg",
            "figure3_table": f"{tables}/figure3_length_bias.csv",
            "agreement_figure": f"{figures}/agreement.svg",
            "best_of_n": f"{tables}/best_of_n.csv",
            "best_of_n_figure": f"{figures}/best_of_n.svg",
        }
    if STUDY.evaluation and COMPARING:
        shown["position_bias"] = f"{tables}/position_bias.csv"
    if STUDY.evaluation and STUDY.runs:
        shown |= {
            "table2": f"{tables}/table2_policies.csv",
            "table4": f"{tables}/table4_length_penalty.csv",
            "table2_differences": f"{tables}/table2_differences.csv",
            "figure8": f"{figures}/figure8_iterations.svg",
            "drift": f"{figures}/drift.svg",
            "monitors": f"{tables}/monitors.csv",
            "pairs": [
                f"results/{{study}}/runs/{run}/iter{t}/pairs.parquet"
                for run in ONLINE
                for t in range(1, STUDY.runs[run].iterations + 1)
            ],
        }
    if academic_policies():
        shown |= {
            "table3": f"{tables}/table3_academic.csv",
            "table3_differences": f"{tables}/table3_differences.csv",
            "table4_academic": f"{tables}/table4_academic.csv",
            "table6": f"{tables}/table6_benchmarks.csv",
        }
    if CHAT:
        shown |= {name: f"{tables}/{name}.csv" for name in CHAT_TABLES}
    if STUDY.evaluation:
        shown["comparison"] = f"{tables}/compare_to_paper.csv"
        shown["figure9"] = f"{figures}/figure9_evaluation.svg"
    if STUDY.evaluation and ONLINE and OFFLINE:
        shown["case_studies"] = "results/{study}/evaluation/case_studies.parquet"
    return shown


def exhibits():
    """The paper's tables and figures that a study with policies has, by the names of their files."""
    if not (STUDY.evaluation and STUDY.runs):
        return {"tables": [], "figures": []}
    tables = ["table2_policies", "table4_length_penalty"]
    tables += ["table2_chat", "table4_chat"] if CHAT else []
    tables += ["table3_academic", "table4_academic", "table6_benchmarks"] if academic_policies() else []
    figures = ["figure5_prompts", "figure8_iterations", "figure9_evaluation"]
    figures += ["figure6_7_training"] if STUDY.reward_models else []
    return {"tables": tables, "figures": figures}


def compared_tables():
    """The study's tables that hold numbers which the paper prints too, by the names of compare_to_paper's arguments."""
    found = {"table5": "table5_preference_data", "filter_totals": "filter_totals"}
    if STUDY.evaluation:
        found |= {"table1": "table1_reward_models", "figure3": "figure3_length_bias"}
    if CHAT:
        found |= {"table2": "table2_chat", "table4_chat": "table4_chat"}
    if academic_policies():
        found |= {
            "table3": "table3_academic",
            "table4_academic": "table4_academic",
            "table6": "table6_benchmarks",
        }
    return {name: f"results/{{study}}/tables/{table}.csv" for name, table in found.items()}


def dpo_parameters():
    """Table 7's parameters as the first online run has them; a batch is one GPU's, or one process's where there is none."""
    if not ONLINE:
        return {}
    dpo = STUDY.runs[ONLINE[0]].dpo
    how, devices = dpo.optimisation, max(resource("train_dpo", "gpus") * resource("train_dpo", "nodes"), 1)
    return {
        "n_batch_size_per_device": how.per_device_batch,
        "n_gradient_accumulation": how.global_batch / how.per_device_batch / devices,
        "num_train_epochs": how.epochs,
        "beta": dpo.beta,
    }


def catalog_tables():
    """Every table of the study as it is configured; shards or runs of an earlier configuration may lie beside them."""
    root, data = "results/{study}", "results/{study}/data"
    stages = ("standard", "tokens", "preferences", "dropped")
    found = [f"{data}/{stage}/{source}.parquet" for stage in stages for source in DATA.preferences]
    found += [f"{data}/mixes/{mix}.parquet" for mix in DATA.mixes]
    found += [f"{data}/comparisons/{model.mix}.parquet" for model in STUDY.preference_models.values()]
    found += [f"{data}/instructions.parquet", f"{data}/dropped_instructions.parquet"] if DATA.instructions else []
    if DATA.prompts:
        sets = ["pool", *(f"iter{t}" for t in range(1, ITERATIONS + 1)), "length_bias", "held_out"]
        found += [f"{data}/prompts/{prompts}.parquet" for prompts in sets] + [f"{data}/dropped_prompts.parquet"]
    found += evaluation_prompts()
    found += [f"{root}/evaluation/held_out/{judge}.parquet" for judge in trained_judges()]
    iterations = [(run, t) for run in ONLINE for t in range(1, STUDY.runs[run].iterations + 1)]
    found += [f"{root}/runs/{run}/iter{t}/pairs.parquet" for run, t in iterations]
    rollouts = [(*rollout, STUDY.runs[run].reward) for run, t in iterations for rollout in rollouts_of(run, t)]
    if STUDY.evaluation:
        found += [f"{root}/evaluation/reward_bench/{judge}.parquet" for judge in JUDGES]
        judged_by = [*STUDY.reward_models, *(["gold"] if STUDY.world else [])]
        rollouts += [("sft", "length_bias", "length_bias", reward) for reward in judged_by]
        found += [f"{root}/tables/agreement.csv"]
    if STUDY.reward_models:
        found += [f"{root}/tables/{name}.csv" for name in ("reliability", "accuracy_by_length_gap")]
    if STUDY.evaluation and STUDY.runs:
        found += [f"{root}/evaluation/measures/{policy}.parquet" for policy in POLICIES]
        found += [f"{root}/evaluation/monitors/{policy}.parquet" for policy in TRAINED]
        rollouts += [(policy, "evaluation", "held_out", STUDY.evaluation.reward) for policy in POLICIES]
    for policy in academic_policies():
        found += [f"{root}/evaluation/academic/{policy}/{table}.parquet" for table in ("scores", "samples")]
    for benchmark, section in CHAT.items():
        folder = f"{root}/evaluation/{benchmark}"
        found += [f"{folder}/questions.parquet"] + [f"{folder}/answers/{policy}.parquet" for policy in COMPARED]
        found += [f"{folder}/judgments/{judge}/{policy}.parquet" for judge in section.judges for policy in COMPARED]
    for *rollout, reward in rollouts:
        found += responses("{study}", *rollout) + rewards("{study}", *rollout, reward)
    found += [f"{root}/tables/{name}.csv" for name in PREFERENCE_TABLES]
    found += [path for path in page_inputs().values() if str(path).endswith((".csv", "case_studies.parquet"))]
    found += [f"{root}/figures/{figure}.csv" for figure in exhibits()["figures"]]
    return list(dict.fromkeys(found))


# --- targets ------------------------------------------------------------------------------------------------------------


def data_targets():
    root = f"results/{STUDY.study}"
    tables = [f"{root}/tables/{name}.csv" for name in PREFERENCE_TABLES]
    tables += [f"{root}/figures/{name}.svg" for name in PREFERENCE_FIGURES]
    mixes = [f"{root}/data/mixes/{mix}.parquet" for mix in DATA.mixes]
    instructions = [f"{root}/data/instructions.parquet"] if DATA.instructions else []
    prompts = [f"{root}/data/prompts/held_out.parquet", f"{root}/figures/figure5_prompts.svg"] if DATA.prompts else []
    return tables + mixes + instructions + prompts


def report_targets():
    """Every table and figure by name, and the page, as far as the study's configuration goes."""
    tables = [f"{name}.csv" for name in PREFERENCE_TABLES]
    figures = [f"{name}.svg" for name in PREFERENCE_FIGURES]
    if DATA.prompts:
        tables += ["figure5_topics.csv"]
        figures += ["figure5_prompts.svg"]
    if STUDY.reward_models:
        tables += ["reward_models_held_out.csv", "calibration.csv", "reliability.csv", "accuracy_by_length_gap.csv"]
        figures += ["figure6_7_training.svg", "calibration.svg"]
    if STUDY.evaluation:
        tables += [
            "table1_reward_models.csv",
            "table1_reward_models.md",
            "figure3_length_bias.csv",
            "agreement.csv",
            "best_of_n.csv",
        ]
        tables += ["compare_to_paper.csv", "compare_to_paper.md"]
        figures += ["figure3_length_bias.svg", "agreement.svg", "best_of_n.svg", "figure9_evaluation.svg"]
    if STUDY.evaluation and STUDY.runs:
        tables += ["table2_policies.csv", "table4_length_penalty.csv"]
        tables += ["monitors.csv"]
        figures += ["figure8_iterations.svg", "drift.svg"]
    if academic_policies():
        tables += ["table3_academic.csv", "table6_benchmarks.csv"]
    if CHAT:
        tables += [f"{name}.csv" for name in CHAT_TABLES]
    tables += [f"{name}.{form}" for name in exhibits()["tables"] for form in ("md", "svg")]
    figures += [f"{name}.{form}" for name in exhibits()["figures"] for form in ("md", "csv")]
    root = f"results/{STUDY.study}"
    best = [f"{root}/runs/{run}/best" for run in ONLINE] if STUDY.evaluation else []
    page = [f"{root}/report/index.html", f"{root}/catalog.duckdb"]
    return [f"{root}/tables/{t}" for t in tables] + [f"{root}/figures/{f}" for f in figures] + best + page
