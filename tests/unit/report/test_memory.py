"""The memory estimate: known answers, and what torch really keeps of a layer."""

import json
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaModel

from scripts.common.config import Lora, Optimisation
from scripts.report.memory import CONTEXT, GB, Architecture, activations, advice, architecture, serving, training
from tests.unit.training_stages import llama_config

LLAMA_8B = "meta-llama/Meta-Llama-3-8B"
SMALL = Architecture(3, 128, 320, 4, 2, 32, 64, True)
TOKENS = 96


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Architecture:
    return architecture(tmp_path_factory.mktemp("nothing"), LLAMA_8B)


def optimisation(**changes) -> Optimisation:
    values = {"learning_rate": 1e-6, "global_batch": 128, "per_device_batch": 2, "max_tokens": 3072} | changes
    return Optimisation(**values)


def test_parameters_are_those_that_the_models_publish(llama, tmp_path):
    assert llama.parameters == 8_030_261_248
    assert architecture(tmp_path, "meta-llama/Llama-3.2-1B").parameters == 1_235_814_400
    assert architecture(tmp_path, "someone/unknown-7B") is None


def config(shape: Architecture) -> LlamaConfig:
    return llama_config(shape, max_position_embeddings=TOKENS, attn_implementation="sdpa")


def test_a_folder_says_its_own_shape(tmp_path):
    model = LlamaModel(config(SMALL))
    model.save_pretrained(tmp_path)
    assert architecture(tmp_path) == SMALL
    assert SMALL.parameters == model.num_parameters()


def test_an_8b_model_in_bfloat16_takes_16_gb_and_its_training_16_bytes_a_parameter(llama):
    p = llama.parameters
    assert serving(llama, "bfloat16", 0, 0).weights == 2 * p == pytest.approx(16 * GB, rel=0.01)
    whole = training(llama, optimisation(dtype="float32"))
    assert (whole.weights, whole.gradients, whole.optimiser) == (4 * p, 4 * p, 8 * p)
    zero2, zero3 = (training(llama, optimisation(sharding=name), processes=8) for name in ("zero2", "zero3"))
    assert (zero2.weights, zero2.gradients, zero2.optimiser) == (2 * p, 2 * p / 8, 12 * p / 8)
    assert (zero3.gradients, zero3.optimiser) == (zero2.gradients, zero2.optimiser)
    assert 2 * p / 8 < zero3.weights < 3 * p / 8
    assert training(llama, optimisation(sharding="zero3")) == training(llama, optimisation())  # nobody to share with


def test_adapters_leave_little_to_train(llama):
    adapters = 32 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
    found = training(llama, optimisation(lora=Lora(rank=16)))
    assert (found.gradients, found.optimiser) == (4 * adapters, 8 * adapters)
    assert found.weights == 2 * llama.parameters + 4 * adapters
    four_bits = training(llama, optimisation(lora=Lora(rank=16, quantise="nf4")))
    assert 5 * GB < four_bits.weights < 6 * GB


def test_a_reference_and_pairs_are_what_dpo_has_more(llama):
    sft, dpo = (training(llama, optimisation(), task=task) for task in ("sft", "dpo"))
    assert dpo.reference == sft.reference == 0  # it has left the GPU before the optimiser comes
    adapted = training(llama, optimisation(lora=Lora(rank=16)), task="dpo")
    assert 2 * adapted.weights < adapted.total  # but with few gradients the two models together take the most
    divided = training(llama, optimisation(sharding="zero3"), processes=8, task="dpo")
    assert divided.reference == 2 * llama.parameters / 8
    assert dpo.activations > 1.5 * sft.activations
    assert training(llama, optimisation(), task="reward").weights < sft.weights


def test_the_cache_of_a_token_is_keys_and_values_of_all_layers(llama):
    assert llama.cache("bfloat16") == 131_072  # 128 KB
    assert serving(llama, "bfloat16", sequences=10, max_tokens=3072).cache == 10 * 3072 * 131_072
    assert serving(llama, "bfloat16", 10, 3072, gpus=4).weights == llama.parameters / 2


def kept_by_torch(layers: int, weights: str, computed: str, rank: int, dropout: float, checkpointing: bool) -> float:
    """Bytes a token that autograd keeps of a forward pass, parameters and casts of them left out."""
    shape = Architecture(layers, SMALL.hidden, SMALL.intermediate, 4, 2, 32, 64, True)
    model = LlamaModel(config(shape)).to(getattr(torch, weights)).train()
    if rank:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=rank, lora_dropout=dropout, target_modules="all-linear"))
        model.enable_input_require_grads()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    known = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known and TOKENS in tensor.shape:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=computed == "bfloat16"):
            output = model(torch.randint(0, 64, (1, TOKENS))).last_hidden_state
    assert output.requires_grad
    return sum(kept.values()) / TOKENS


@pytest.mark.parametrize(
    ("weights", "computed", "rank", "dropout"),
    [
        ("float32", "float32", 0, 0.0),
        ("float32", "bfloat16", 0, 0.0),
        ("bfloat16", "bfloat16", 0, 0.0),
        ("bfloat16", "bfloat16", 4, 0.0),
        ("bfloat16", "bfloat16", 4, 0.1),
    ],
)
def test_a_layers_activations_are_what_torch_keeps(weights, computed, rank, dropout):
    options = (weights, computed, rank, dropout)
    measured = kept_by_torch(3, *options, False) - kept_by_torch(2, *options, False)
    assert activations(SMALL, weights, computed, rank, bool(dropout)) == pytest.approx(measured, rel=0.02)


def test_with_checkpointing_a_layer_keeps_its_input():
    options = ("float32", "bfloat16", 0, 0.0, True)
    assert kept_by_torch(3, *options) - kept_by_torch(2, *options) == 4 * SMALL.hidden
    kept, whole = (training(SMALL, optimisation(gradient_checkpointing=on)).activations for on in (True, False))
    assert kept < whole


def peak_of_a_step(shape: Architecture, sequences: int, checkpointing: bool, trace: Path) -> float:
    """Bytes that a whole step takes at its peak, weights, gradients and moments included, by torch's own account."""
    model = LlamaModel(config(shape)).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimiser = torch.optim.AdamW(model.parameters(), foreach=False)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(torch.randint(0, 64, (sequences, TOKENS)), use_cache=False).last_hidden_state
        output.float().pow(2).mean().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=False)

    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    profiler.export_chrome_trace(str(trace))
    events = [event for event in json.loads(trace.read_text())["traceEvents"] if event["name"] == "[memory]"]
    allocated = [event["args"]["Total Allocated"] for event in sorted(events, key=lambda event: event["ts"])]
    return 16 * shape.parameters + max(allocated) - allocated[0]


@pytest.mark.parametrize("checkpointing", [True, False])
def test_a_whole_step_stays_below_the_estimate_and_not_far(tmp_path, checkpointing):
    """A reward model's, without a vocabulary at its end: TRL computes logits on a CPU in another way than on a GPU."""
    shape = Architecture(6, 256, 704, 4, 2, 64, 64, True)
    section = optimisation(per_device_batch=8, max_tokens=TOKENS, gradient_checkpointing=checkpointing)
    estimate = training(shape, section, task="reward").total - CONTEXT
    measured = peak_of_a_step(shape, 16, checkpointing, tmp_path / "trace.json")
    assert measured < estimate < 1.5 * measured


def test_advice_names_changes_that_are_enough(llama):
    full = optimisation()
    assert training(llama, full, 8, "dpo").total > 80 * GB
    words = advice(llama, full, 8, "dpo", 80 * GB)
    assert words == "sharding: zero2; or sharding: zero3"
    assert training(llama, optimisation(sharding="zero2"), 8, "dpo").total < 80 * GB
    assert advice(llama, full, 1, "dpo", 24 * GB) == "4 bits (config/presets/qlora.yaml)"
    assert "no single change is enough" in advice(llama, full, 1, "dpo", CONTEXT)
    wide = optimisation(sharding="zero3", per_device_batch=32)
    assert advice(llama, wide, 8, "sft", 80 * GB).startswith("per_device_batch: ")
