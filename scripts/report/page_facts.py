"""What the manifests of a study's artifacts say about it: its commands, tokens, engine, pairs, versions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.provenance import read_manifest

STAGES = ("world", "data", "sft", "reward", "online", "evaluate", "report")
PAIR_COUNTS = {
    "prompts": "prompts",
    "pairs": "pairs",
    "dropped_same_text": "dropped: same text",
    "dropped_equal_reward": "dropped: equal reward",
    "dropped_margin_below_minimum": "dropped: margin below the minimum",
    "dropped_fewer_than_two_finished": "dropped: fewer than two finished",
    "dropped_prompt_too_long": "dropped: prompt too long",
    "truncated_candidates": "truncated responses left out",
}


def manifests_in(folder: Path) -> list[dict[str, Any]]:
    """The manifest of every artifact in a study's folder that a command of this pipeline made."""
    found = []
    for path in sorted(folder.rglob("*manifest.json")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        try:
            manifest = json.loads(path.read_text())
            _ = command_of(manifest), manifest["output"]["path"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # provenance is reported as far as it goes; what is unreadable made no artifact of this pipeline
        found.append(manifest)
    return found


def command_of(manifest: Mapping[str, Any]) -> str:
    """What tells the command that made an artifact from every other; those made together have it in common."""
    return json.dumps([manifest["code"]["module"], manifest["started"], manifest["arguments"]], sort_keys=True)


def jobs(manifests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One manifest for each command, in the order they started."""
    found = {command_of(manifest): manifest for manifest in manifests}
    return sorted(found.values(), key=lambda manifest: (manifest["started"], manifest["code"]["module"]))


def in_order(module: str) -> tuple[int, str]:
    """A module's place in the pipeline."""
    _, stage, step = module.split(".", 2)
    return STAGES.index(stage) if stage in STAGES else len(STAGES), step


def generated(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Responses, tokens and engines of all generation jobs."""
    facts = [m["facts"] for m in manifests if m["code"]["module"] == "scripts.online.generate_responses"]
    return {
        "responses": sum(int(fact.get("responses", 0)) for fact in facts),
        "tokens": sum(int(fact.get("tokens", 0)) for fact in facts),
        "engines": sorted(
            {f"{fact['engine']} {fact.get('engine_version', '')}".strip() for fact in facts if "engine" in fact}
        ),
    }


def pair_counts(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Run, iteration and the counts of each table of online pairs, runs/{run}/iter{t}/pairs.parquet."""
    rows = []
    for path in paths:
        facts = read_manifest(path).get("facts", {})
        iteration = path.parent.name.removeprefix("iter")
        rows.append({"run": path.parent.parent.name, "iteration": iteration} | {k: facts.get(k) for k in PAIR_COUNTS})
    return rows


def versions(manifests: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Package -> version; several versions, where jobs ran in different environments, are all named."""
    found: dict[str, set[str]] = {}
    for manifest in manifests:
        for package, version in manifest.get("versions", {}).items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(found[package])) for package in sorted(found)}


def code(manifests: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """(module, digest of its logic) of every command, without repetition."""
    return sorted({(manifest["code"]["module"], manifest["code"]["digest"]) for manifest in manifests})


def hardware(manifests: Sequence[dict[str, Any]]) -> list[str]:
    """Kinds of machines that ran the jobs."""
    kinds = set()
    for manifest in manifests:
        machine = manifest.get("machine", {})
        kinds.add(", ".join([f"{machine.get('cpus', '?')} CPUs", *machine.get("gpus", [])]))
    return sorted(kinds)


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 7 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
