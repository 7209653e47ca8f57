"""The README's table of benchmarks, from the stored results: each figure, its limit, what it was measured on.

python -m benchmarks.table      writes it into the README
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import readme
from benchmarks.results import RESULTS

NAME = "benchmarks"
HEAD = ("what is measured", "beside", "limit", "measured", "command", "on")


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark's result, and what it must reach."""

    benchmark: str
    """Module of benchmarks/, and name of its result."""
    key: str
    """Where the number stands in the result; a dot leads into a section."""
    what: str
    beside: str
    """What a user would otherwise run, or have."""
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"
    """`x`: times, `%`: a share, else a word to stand behind the number."""
    besides: str = ""
    """What the table says behind the number: a format of the benchmark's result."""

    def value(self, result: Mapping[str, Any]) -> float | None:
        found: Any = result
        for part in self.key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def holds(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    @property
    def more_is_better(self) -> bool:
        return self.at_least is not None

    @property
    def limit(self) -> str:
        bound = self.at_least if self.more_is_better else self.at_most
        return f"{'≥' if self.more_is_better else '≤'} {self.said(bound)}"

    def said(self, value: float | None) -> str:
        if value is None:
            return ""
        if self.unit == "%":
            return f"{100 * value:.1f}%"
        number = f"{value:.0e}" if 0 < abs(value) < 1e-3 else f"{value:.2f}"
        return f"{number}{'×' if self.unit == 'x' else f' {self.unit}'.rstrip()}"


SCORED, SORTED = "the released code, one response at a time", "batches sorted by length"
FIGURES = (
    Figure("generation", "ratio", "generation, tokens a second", "the bare engine, same responses", at_least=0.95),
    Figure(
        "dpo",
        "speed_up",
        "DPO, tokens a second",
        "TRL's trainer with its defaults, same batches",
        at_least=1.25,
        besides="{over_floor:.2f}× the time of forward and backward alone",
    ),
    Figure("dpo", "largest_loss_difference", "DPO, loss of any step", "the same", at_most=1e-5, unit="nats"),
    Figure(
        "packing", "filled", "SFT, token slots filled by packing", "all slots of its blocks", at_least=0.9, unit="%"
    ),
    Figure("workflow_overhead", "overhead", "time of `make demo` outside jobs", "all time", at_most=0.1, unit="%"),
    Figure(
        "dry_run",
        "cpu_seconds",
        "CPU time of a dry run",
        "the paper's whole study",
        at_most=6,
        unit="s",
        besides="{jobs} jobs",
    ),
    Figure("data_plane", "speedup", "pairs standardised, filtered, counted", "`datasets`, 2 processes", at_least=10),
    Figure("data_plane", "doubling", "time for twice the pairs", "time for them", at_most=2.2),
    Figure("data_plane", "peak_gb", "memory at the peak, twice the pairs", "the job's limit", at_most=4, unit="GiB"),
    Figure("token_counting", "ratio", "time to count tokens", "the tokenizer alone", at_most=1.2),
    Figure("scoring", "lengths.HelpSteer.speed_up_over.released", "scoring, HelpSteer's lengths", SCORED, at_least=3),
    Figure("scoring", "lengths.HelpSteer.speed_up_over.sorted", "the same", SORTED, at_least=1.3),
    Figure("scoring", "lengths.HH-RLHF.speed_up_over.sorted", "HH-RLHF's lengths", SORTED, at_least=1.3),
    Figure("scoring", "lengths.UltraFeedback.speed_up_over.sorted", "UltraFeedback's lengths", SORTED, at_least=1.3),
    Figure(
        "scoring",
        "largest_difference",
        "the reward of any response",
        "the released code, in float32",
        at_most=1e-4,
        unit="",
        besides="in bfloat16 {bfloat16[median]:.3f} standard deviations (median), {bfloat16[largest]:.3f} (largest)",
    ),
    Figure("judge_client", "median_over_ideal", "asking a judge 805 times, 32 at once", "the ideal", at_most=1.3),
    Figure("judge_client", "requests_of_a_rerun", "requests when asked again", "none", at_most=0, unit=""),
)


def read(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """What a benchmark wrote, if it was run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def rendered(folder: Path = RESULTS) -> str:
    """A line for each figure; one that is not there says so, one that misses its limit is marked."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for figure in FIGURES:
        result = read(figure.benchmark, folder) or {}
        value = figure.value(result)
        measured = "not run" if value is None else figure.said(value)
        if value is not None and not figure.holds(value):
            measured = f"**{measured}, missed**"
        if value is not None and figure.besides:
            measured += f"; {figure.besides.format(**result)}"
        cells = [figure.what, figure.beside, figure.limit, measured, f"`{figure.benchmark}`", hardware(result)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def hardware(result: Mapping[str, Any]) -> str:
    """Where it was measured, and whether other work ran there at the time."""
    if not (machine := result.get("machine")):
        return ""
    busy = f", load {machine['load_average']:.0f}" if machine["load_average"] > machine["cpus"] + 1 else ""
    return f"{machine['hardware']}, {machine['cpus']} cores{busy}"


def block() -> str:
    return readme.block(NAME, rendered())


if __name__ == "__main__":
    readme.replace(NAME, rendered())
