"""Options of the loop (Section 3.3), each one line of configuration: what Snakemake would run for it."""

import re

import polars as pl
import pytest

from tests.workflow.study import ROOT, Study

pytestmark = pytest.mark.workflow

OPTIONS = """
samplers:
  policies:
    - {temperature: 1.0, n: 2}
    - {policy: previous, temperature: 0.7, n: 3}
    - {policy: epoch1, temperature: 1.0, n: 4}
runs:
  mixed: {reward: mix2, sampler: policies, iterations: 3, strategy: best_random, minimum_margin: 0.1}
  replay: {reward: mix2, sampler: mixed_temperatures, iterations: 2, history: all, initialise: sft}
  hybrid: {reward: mix2, sampler: mixed_temperatures, iterations: 2, offline: offline, reference: previous}
  biased: {reward: mix2, sampler: mixed_temperatures, dpo: {loss: ipo, sft_weight: 0.2}}
vllm: {prefix_caching: false}
resources: {score_responses: {gpus: 2}}
"""


def planned_commands(study: Study, *targets: str) -> dict[str, str]:
    """The command that makes each artifact, by its path within the study, without running any."""
    done = study.snakemake("--dry-run", "--printshellcmds", *targets, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout.replace(f"results/{study.name}/", "")
    lines = re.findall(r"^Shell command: (.* --output (\S+).*)$", text, flags=re.MULTILINE)
    return {path: command for command, path in lines}


def check_trainings(commands: dict[str, str], adapter: str, value: str) -> set[str]:
    """Every training has the adapter's option and is one process; returns what is trained."""
    trainings = {path: command for path, command in commands.items() if "optimisation" in command}
    for path, command in trainings.items():
        dpo = "dpo." if path.startswith("runs") else ""
        assert values(command, f"{dpo}optimisation.lora.{adapter}") == [value]
        assert command.startswith("GPUS_ASKED=1 python -m")
    return set(trainings)


def values(command: str, flag: str) -> list[str]:
    """The words after a flag, up to the next one."""
    [found] = re.findall(rf" --{re.escape(flag)} ((?:(?!-)\S+ ?)+)", command.replace(">", "-"))
    return found.split()


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> dict[str, str]:
    study = Study(tmp_path_factory.mktemp("options")).with_changes(OPTIONS)
    last = {"mixed": 3, "replay": 2, "hybrid": 2, "biased": 1}
    return planned_commands(study, *(f"results/tiny/runs/{run}/iter{t}/policy" for run, t in last.items()))


def test_a_sampler_of_three_policies_has_each_speak_for_its_own_actors(commands):
    """Iteration 2: the current policy, pi_0 as the previous one, and the current one after its first epoch."""
    expected = {"mixed-iter1": ("0", "1.0", "2"), "sft": ("1", "0.7", "3"), "mixed-iter1-epoch1": ("2", "1.0", "4")}
    for policy, said in expected.items():
        command = commands[f"rollouts/{policy}/policies/iter2/responses/0.parquet"]
        assert tuple(values(command, flag)[0] for flag in ("actors", "temperatures", "counts")) == said
    assert values(command, "policy") == ["runs/mixed/iter1/epoch1"]
    assert values(commands["rollouts/mixed-iter1/policies/iter3/responses/0.parquet"], "actors") == ["1"]


def test_before_the_first_iteration_pi_0_is_every_policy(commands):
    assert values(commands["rollouts/sft/policies/iter1/responses/0.parquet"], "actors") == ["0", "1", "2"]


def test_responses_of_all_policies_are_paired_together(commands):
    command = commands["runs/mixed/iter3/pairs.parquet"]
    policies = [path.split("/")[1] for path in values(command, "responses")]
    assert policies == ["mixed-iter2", "mixed-iter1", "mixed-iter2-epoch1"]
    assert [path.replace("rewards/mix2", "responses") for path in values(command, "rewards")] == values(
        command, "responses"
    )
    assert (values(command, "strategy"), values(command, "minimum-margin")) == (["best_random"], ["0.1"])


def test_the_first_epoch_is_published_only_where_a_sampler_asks_for_it(commands):
    assert values(commands["runs/mixed/iter1/policy"], "epoch1") == ["runs/mixed/iter1/epoch1"]
    assert not any("--epoch1" in command for path, command in commands.items() if "mixed" not in path)


def test_history_all_trains_on_every_iteration_from_pi_0(commands):
    """Algorithm 2, line 3, to the letter."""
    command = commands["runs/replay/iter2/policy"]
    assert values(command, "pairs") == ["runs/replay/iter1/pairs.parquet", "runs/replay/iter2/pairs.parquet"]
    assert values(command, "policy") == values(command, "reference") == ["models/sft"]


def test_hybrid_learning_adds_the_offline_pairs_to_every_iteration(commands):
    command = commands["runs/hybrid/iter2/policy"]
    assert values(command, "pairs") == ["data/mixes/offline.parquet", "runs/hybrid/iter2/pairs.parquet"]
    assert values(command, "reference") == values(command, "policy") == ["runs/hybrid/iter1/policy"]


def test_losses_reach_the_command_of_their_run_alone(commands):
    changed, plain = commands["runs/biased/iter1/policy"], commands["runs/replay/iter1/policy"]
    assert (values(changed, "dpo.loss"), values(changed, "dpo.sft-weight")) == (["ipo"], ["0.2"])
    assert (values(plain, "dpo.loss"), values(plain, "dpo.sft-weight")) == (["sigmoid"], ["0.0"])


def test_vllm_divides_a_model_among_the_gpus_that_its_rule_asks_for(commands):
    generate = commands["rollouts/sft/policies/iter1/responses/0.parquet"]
    score = commands["rollouts/sft/policies/iter1/rewards/mix2/0.parquet"]
    assert values(generate, "vllm.tensor-parallel") == ["1"]
    assert values(score, "vllm.tensor-parallel") == ["2"]
    assert all(" --vllm.no-prefix-caching" in command for command in (generate, score))


@pytest.mark.parametrize(
    ("preset", "reference", "count", "smoothing", "warmup"),
    [
        ("online-rlhf-2024-05", "models/sft", "8", "0.0", "0.32"),
        ("online-rlhf-2024-10", "runs/iterative/iter1/policy", "4", "0.1", "0.0"),
    ],
)
def test_presets_of_the_released_code(tmp_path, preset, reference, count, smoothing, warmup):
    files = (ROOT / "config/paper.yaml", ROOT / f"config/presets/{preset}.yaml")
    commands = planned_commands(Study(tmp_path, files, "paper"), "results/paper/runs/iterative/iter2/policy")
    dpo = commands["runs/iterative/iter2/policy"]
    assert values(dpo, "reference") == [reference]
    assert values(dpo, "policy") == ["runs/iterative/iter1/policy"]
    assert (values(dpo, "dpo.label-smoothing"), values(dpo, "dpo.optimisation.warmup")) == ([smoothing], [warmup])
    generate = commands["rollouts/sft/mixed_temperatures/iter1/responses/0.parquet"]
    assert (values(generate, "temperatures"), values(generate, "counts")) == (["1.0"], [count])
    assert values(commands["models/sft"], "optimisation.epochs") == ["3" if preset.endswith("10") else "1"]


def test_the_small_study_with_adapters(tmp_path):
    """One GPU: presets are laid over each other, adapters reach every training, and nobody wants a run left out."""
    files = (ROOT / "config/paper.yaml", *(ROOT / f"config/presets/{name}.yaml" for name in ("small", "lora")))
    commands = planned_commands(Study(tmp_path, files, "small"))
    assert check_trainings(commands, "rank", "64") >= {
        "models/sft",
        "models/reward/mix2",
        "models/preference/pairwise",
        "runs/concise/iter3/policy",
    }
    assert not any("ultrarm" in path for path in commands)


def test_four_bits_and_the_authors_own_sets_laid_over_the_papers_study(tmp_path):
    names = ("lora", "qlora", "rlhflow-standard")
    files = (ROOT / "config/paper.yaml", *(ROOT / f"config/presets/{name}.yaml" for name in names))
    targets = [f"results/paper/{path}" for path in ("runs/iterative/iter1/policy", "models/preference/pairwise")]
    commands = planned_commands(Study(tmp_path, files, "paper"), *targets)
    trained = {path.removeprefix("results/paper/") for path in targets} | {"models/sft", "models/reward/mix2"}
    assert check_trainings(commands, "quantise", "nf4") == trained
    sets = {path: values(command, "hub")[0] for path, command in commands.items() if "scripts.data.retrieve" in command}
    assert sum(path.startswith("data/raw/preferences") for path in sets) == 10
    assert {hub.split("/")[0] for path, hub in sets.items() if "benchmarks" not in path} == {"RLHFlow"}


@pytest.mark.slow
def test_three_policies_generate_and_are_paired(tmp_path):
    """For real: the policy before, and the one after its first epoch, write responses of their own; all are paired."""
    options = OPTIONS.replace("iterations: 3", "iterations: 2").replace("minimum_margin: 0.1", "minimum_margin: 0.0")
    study = Study(tmp_path).with_changes(options)
    study.build("results/tiny/runs/mixed/iter2/policy")
    rollouts = study.results / "rollouts"
    found = {
        policy: set(pl.read_parquet(rollouts / f"{policy}/policies/iter2/responses/*.parquet")["actor"])
        for policy in ("mixed-iter1", "sft", "mixed-iter1-epoch1")
    }
    assert found == {"mixed-iter1": {0}, "sft": {1}, "mixed-iter1-epoch1": {2}}
    runs = study.results / "runs/mixed"
    first, whole = ((runs / f"iter1/{name}/model.safetensors").read_bytes() for name in ("epoch1", "policy"))
    assert first != whole
    pairs = pl.read_parquet(runs / "iter2/pairs.parquet")
    assert set(pairs["chosen_actor"]) | set(pairs["rejected_actor"]) == {0, 1, 2}
    assert pairs["margin"].min() > 0
