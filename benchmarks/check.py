"""Whether the benchmarks' figures keep their limits, and whether one is worse than what was last committed.

Results lie in benchmarks/results; what they were is what git has of them. A figure that is worse by more than the
noise, a tenth, is a regression if the machine is the same, and only shown if it is another.

    python -m benchmarks.check      exit status 1 where a limit is missed or a figure has become worse
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.results import RESULTS
from benchmarks.table import FIGURES, Figure, read

NOISE = 0.1
ZERO = 1e-6  # below it, differences of losses are rounding and say nothing


@dataclass(frozen=True)
class Finding:
    figure: Figure
    value: float | None
    before: float | None
    verdict: str

    @property
    def bad(self) -> bool:
        return self.verdict.startswith(("misses", "worse"))

    def __str__(self) -> str:
        name = f"{self.figure.benchmark}.{self.figure.key}"
        said = [self.figure.said(value) or "-" for value in (self.value, self.before)]
        return f"{name:<58} {said[0]:>12} {self.figure.limit:>14}  before {said[1]:>10}  {self.verdict}"


def committed(name: str) -> dict[str, Any] | None:
    """A benchmark's result as last committed; nothing outside of a git checkout."""
    path = f"./{name}.json"
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=RESULTS, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def findings(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Finding]:
    """What to say of each figure, given results by their benchmarks' names."""
    for figure in FIGURES:
        result, stored = now.get(figure.benchmark) or {}, before.get(figure.benchmark) or {}
        value, last = figure.value(result), figure.value(stored)
        yield Finding(figure, value, last, verdict(figure, value, last, same_machine(result, stored)))


def verdict(figure: Figure, value: float | None, before: float | None, same_machine: bool) -> str:
    if value is None:
        return "not run"
    if not figure.holds(value):
        return "misses its limit"
    if before is None or max(abs(value), abs(before)) < ZERO:
        return "holds"
    change = (value - before) / abs(before) * (1 if figure.more_is_better else -1)
    if change < -NOISE:
        return f"worse by {-change:.0%}" if same_machine else f"holds; {-change:.0%} worse than on another machine"
    return "holds"


def same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = [result.get("machine", {}) for result in (one, other)]
    return [names[0].get(key) for key in ("hardware", "cpus")] == [names[1].get(key) for key in ("hardware", "cpus")]


if __name__ == "__main__":
    benchmarks = {figure.benchmark for figure in FIGURES}
    found = list(findings({n: read(n) for n in benchmarks}, {n: committed(n) for n in benchmarks}))
    print("\n".join(map(str, found)))
    sys.exit(any(finding.bad for finding in found))
