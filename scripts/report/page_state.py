"""State and costs of a study, from the manifests of its artifacts: what is there, since when, at what price.

An artifact is stale where the code of its module would do something else today, where an input has been made again
since with another content, or where it is gone; `python -m scripts.report.lineage ARTIFACT` then says more, and
`python -m scripts.report.stale` what Snakemake would make again.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.report.lineage import present_code
from scripts.report.page_facts import command_of, duration, in_order
from scripts.report.page_tables import NONE, Table, number, text

CURRENT = "current"
JUDGE = "scripts.evaluate.judge_answers"


def artifacts(manifests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Step, path, time, seconds, GPUs and state of every artifact of a study that has a manifest.

    What one command made together shares its seconds: they count with the first of its artifacts.
    """
    found = {manifest["output"]["path"]: manifest for manifest in manifests}
    seen: set[str] = set()
    rows = []
    for path, manifest in found.items():
        run = command_of(manifest)
        seconds = 0.0 if run in seen else float(manifest["seconds"])
        rows.append(
            {"module": manifest["code"]["module"], "path": path, "started": manifest["started"], "seconds": seconds}
            | {"gpus": len(manifest.get("machine", {}).get("gpus", [])), "state": state(manifest, found)}
        )
        seen.add(run)
    return rows


def state(manifest: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> str:
    """`current`, or why an artifact is stale.

    Args:
        manifest: of the artifact.
        found: path -> manifest of every artifact of the study.
    """
    if not Path(manifest["output"]["path"]).exists():
        return "not here"
    code = present_code(manifest["code"]["module"])
    if code is None:
        return "code gone"  # a module that was renamed or removed
    if code != manifest["code"]["digest"]:
        return "code changed"
    for read in manifest.get("inputs", []):
        made = found.get(read["path"])
        if made and made["output"]["sha256"] != read["sha256"]:
            return "input changed"
    return CURRENT


def overview(rows: Sequence[Mapping[str, Any]]) -> Table | None:
    """Steps down, in the order of the pipeline: artifacts, when they were made, what they took, whether they stand."""
    steps: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        steps.setdefault(row["module"], []).append(row)
    lines, total = [], sum(row["seconds"] for row in rows)
    for module, of in sorted(steps.items(), key=lambda item: in_order(item[0])):
        _, stage, step = module.split(".", 2)
        times = sorted(row["started"][:16].replace("T", " ") for row in of)
        made = times[0] if times[0] == times[-1] else f'{times[-1]}<span class="ci">first {times[0]}</span>'
        seconds = sum(row["seconds"] for row in of)
        share = number(100 * seconds / total if total else 0, "{:.0f}%")
        hours = gpu_hours(of)
        lines.append(
            {"step": f"{text(stage)} / <b>{text(step)}</b>", "artifacts": number(len(of)), "made": made}
            | {"time": duration(seconds), "share": share, "GPU-hours": number(hours, "{:,.1f}") if hours else NONE}
            | {"state": states(of)}
        )
    return Table(lines, "state", ["made", "state"]) if lines else None


def gpu_hours(rows: Sequence[Mapping[str, Any]]) -> float:
    """Hours of the commands, each times the GPUs that it saw."""
    return sum(row["seconds"] * row["gpus"] for row in rows) / 3600


def dollars(manifests: Sequence[Mapping[str, Any]]) -> float:
    """What all judges were paid, by the tokens that their endpoints counted."""
    return sum(m["facts"].get("counted", {}).get("dollars", 0) for m in manifests if m["code"]["module"] == JUDGE)


def states(rows: Sequence[Mapping[str, Any]]) -> str:
    """A badge for each state among artifacts, with how many are in it."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return " ".join(
        f'<span class="badge {"good" if name == CURRENT else "bad"}">{name if n == len(rows) else f"{n} {name}"}</span>'
        for name, n in sorted(counts.items(), key=lambda item: item[0] != CURRENT)
    )


def judging(manifests: Sequence[Mapping[str, Any]]) -> Table | None:
    """Judges and benchmarks down: judgments, requests, tokens and dollars, estimated before and counted after."""
    lines: dict[tuple[str, str], dict[str, float]] = {}
    models = {}
    for manifest in manifests:
        if manifest["code"]["module"] != JUDGE:
            continue
        arguments, facts = manifest["arguments"], manifest["facts"]
        key = (arguments["judge"], arguments["benchmark"])
        models[key] = facts.get("model") or arguments["kind"]
        line = lines.setdefault(key, {})
        for name in ("judgments", "no_verdict", "requests", "asked"):
            line[name] = line.get(name, 0) + facts.get(name, 0)
        for when in ("estimated", "counted"):
            for name, value in facts.get(when, {}).items():
                line[f"{when}_{name}"] = line.get(f"{when}_{name}", 0) + value

    def both(line: Mapping[str, float], name: str, form: str) -> str:
        """What was counted, beneath it the estimate."""
        if not line.get(f"estimated_{name}"):
            return NONE
        counted, estimated = (number(line[f"{when}_{name}"], form) for when in ("counted", "estimated"))
        return f'{counted}<span class="ci">estimated {estimated}</span>'

    rows = [
        {"judge": f'<b>{text(judge)}</b><span class="ci">{text(models[judge, benchmark])}</span>'}
        | {
            "benchmark": text(benchmark),
            "judgments": number(line["judgments"]),
            "no verdict": number(line["no_verdict"]),
        }
        | {"requests": number(line["requests"] or None), "prompt tokens": both(line, "prompt_tokens", "{:,.0f}")}
        | {"answer tokens": both(line, "completion_tokens", "{:,.0f}"), "dollars": both(line, "dollars", "{:,.2f}")}
        for (judge, benchmark), line in lines.items()
    ]
    return Table(rows, "judging", ["benchmark"]) if rows else None
