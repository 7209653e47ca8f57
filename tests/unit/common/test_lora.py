"""Adapters by their effect in all four stages: only they are trained, and W + alpha / rank B A is published whole."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scripts.common import lora, training
from scripts.common.config import DPO, Lora, Optimisation
from scripts.common.errors import StudyError
from scripts.common.models import load_policy, load_reward_model, load_tokenizer
from scripts.online import train_dpo
from tests.unit.training_stages import STAGES, Stage, Stages, make_stages

pytest_plugins = ["tests.unit.engines_fixtures"]

ADAPTER = Lora(rank=4, alpha=8.0)


@pytest.fixture(scope="module")
def stages(tmp_path_factory, tokenizer, llama_config) -> Stages:
    config = copy.deepcopy(llama_config)
    config.intermediate_size = 128  # blocks of 64 weights share a scale in 4 bits; on the CPU rows must divide
    return make_stages(tmp_path_factory.mktemp("lora"), tokenizer, config, rows=8, length=20)


def run(stages: Stages, stage: Stage, output: Path, adapter: Lora = ADAPTER, **changes) -> dict:
    settings = {"learning_rate": 1e-2, "global_batch": 2, "per_device_batch": 2, "max_tokens": 48}
    settings |= {"dtype": "float32", "gradient_checkpointing": False, "checkpoint_steps": 1} | changes
    return stages.run(stage, output, Optimisation(**settings, lora=adapter))


@pytest.fixture
def trainable(monkeypatch) -> list[str]:
    """Names of the parameters that the last training changed."""
    names: list[str] = []
    settle = lora.settle

    def watched(model, adapter):
        settle(model, adapter)
        names[:] = [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    monkeypatch.setattr(training.lora, "settle", watched)
    return names


def addition(output: Path, layer: str, scale: float) -> torch.Tensor:
    """alpha / rank * B A of a layer, from the adapter that is published beside the model."""
    adapter = load_file(output / lora.ADAPTER / "adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.{layer}.lora_{part}.weight"] for part in "AB")
    return scale * b @ a


def difference_from_base(stages: Stages, output: Path) -> dict[str, torch.Tensor]:
    """By weight, what the published model adds to the base."""
    before, after = load_file(stages.base / "model.safetensors"), load_file(output / "model.safetensors")
    return {name: after[name] - before[name] for name in after if name in before}


@pytest.mark.parametrize("quantise", ["none", "nf4"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_whole_model_is_published_and_only_the_adapter_was_trained(stages, tmp_path, trainable, stage, quantise):
    output = tmp_path / "model"
    run(stages, stage, output, Lora(rank=4, alpha=8.0, quantise=quantise))
    heads = [name for name in trainable if "lora_" not in name]
    assert [name.split(".")[2:4] for name in heads] == ([["score", "modules_to_save"]] if stage == "reward" else [])
    assert len(trainable) - len(heads) == 2 * 7 * 2  # A and B of seven linear layers in each of two blocks
    changes = difference_from_base(stages, output)
    changed = {name for name, change in changes.items() if change.any()}
    assert changed == {name for name in changes if "proj" in name}
    for name in changed:
        expected = addition(output, name.removesuffix(".weight"), scale=8 / 4)
        torch.testing.assert_close(changes[name], expected, atol=1e-6, rtol=0)
    load_tokenizer(output)
    assert len((output / "training_log.jsonl").read_text().splitlines()) > 1
    assert not list(output.glob("adapter_*")) + list(output.glob("README.md"))


def test_the_head_of_a_reward_model_is_published_as_it_was_trained(stages, tmp_path):
    run(stages, "reward", tmp_path / "model")
    adapter = load_file(tmp_path / "model" / lora.ADAPTER / "adapter_model.safetensors")
    head = load_reward_model(tmp_path / "model", "float32").score.weight
    assert head.abs().max() > 0  # it began at zero
    torch.testing.assert_close(head.detach(), adapter["base_model.model.score.weight"], atol=0, rtol=0)


class Killed(BaseException):
    """As much as a process that was killed can do here: nothing catches it."""


@pytest.mark.parametrize("stage", STAGES)
def test_who_resumes_ends_with_the_same_bytes(stages, tmp_path, monkeypatch, stage):
    adapter = Lora(rank=2, dropout=0.1)
    whole = run(stages, stage, tmp_path / "whole", adapter)
    mark_whole = training.checkpoints.mark_whole

    def kill_after(checkpoint, shape):
        mark_whole(checkpoint, shape)
        assert not list(checkpoint.glob("model*.safetensors"))  # a checkpoint holds the adapter alone
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training.checkpoints, "mark_whole", kill_after)
        with pytest.raises(Killed):
            run(stages, stage, tmp_path / "resumed", adapter)
    resumed = run(stages, stage, tmp_path / "resumed", adapter)
    assert (resumed["resumed_at_step"], resumed["tokens"]) == (1, whole["tokens"])
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_four_bits_are_trained_against_four_bits(stages, tmp_path, monkeypatch):
    """Policy and reference are quantised alike: where they are the same model, DPO starts at ln 2.

    In bfloat16, to which bitsandbytes rounds the scales of weights on a CPU when it only reads them.
    """
    from bitsandbytes.nn import Linear4bit

    loaded = []

    def watched(*args, **options):
        loaded.append(load_policy(*args, **options))
        return loaded[-1]

    monkeypatch.setattr("scripts.common.models.load_policy", watched)
    same = Stages(stages.folder, stages.base, stages.base)
    facts = run(same, "dpo", tmp_path / "model", Lora(rank=4, quantise="nf4"), dtype="bfloat16")
    assert facts["first_loss"] == pytest.approx(0.693147, abs=0.02)
    assert [sum(isinstance(layer, Linear4bit) for layer in model.modules()) >= 14 for model in loaded] == [True, True]


def test_dropout_and_the_layers_named_are_those_asked_for(stages, tmp_path, trainable):
    """TRL would switch dropout off in DPO without a word."""
    for dropout in (0.0, 0.3):
        adapter = Lora(rank=2, dropout=dropout, target_modules=["q_proj", "v_proj"])
        run(stages, "dpo", tmp_path / str(dropout), adapter)
        assert {name.split(".")[-4] for name in trainable} == {"q_proj", "v_proj"}
    plain, dropped = (difference_from_base(stages, tmp_path / name) for name in ("0.0", "0.3"))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(plain[name], dropped[name])


def test_the_first_epoch_is_published_and_training_goes_on(stages, tmp_path, monkeypatch):
    """With the same weights and, for dropout, the same random numbers to come."""
    merge = lora.merge

    def watched(*args):
        before = torch.get_rng_state()
        merge(*args)
        assert torch.equal(torch.get_rng_state(), before)

    monkeypatch.setattr(training.lora, "merge", watched)
    pairs = (stages.folder / "pairs.parquet",)
    settings = {"learning_rate": 1e-2, "epochs": 2, "global_batch": 4, "max_tokens": 128, "dtype": "float32"}
    dpo = DPO(optimisation=Optimisation(**settings, gradient_checkpointing=True, lora=Lora(rank=4, dropout=0.1)))
    for folder, epoch1 in ((tmp_path / "a", tmp_path / "a/epoch1"), (tmp_path / "b", None)):
        train_dpo.main(train_dpo.Args(pairs, stages.base, stages.base, folder / "policy", dpo, epoch1))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a/policy", "b/policy", "a/epoch1")]
    assert weights[0] == weights[1] != weights[2]


def test_adapters_are_not_sharded_and_need_a_rank():
    with pytest.raises(ValueError, match="sharding must be none, not zero3"):
        Optimisation(learning_rate=1e-3, global_batch=1, max_tokens=8, sharding="zero3", lora=ADAPTER)
    with pytest.raises(ValueError, match="give a rank above 0"):
        Lora(quantise="nf4")


def test_four_bits_without_bitsandbytes_are_refused(monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(StudyError, match="pip install bitsandbytes"):
        lora.loading(Lora(rank=1, quantise="nf4"), "float32")
