"""Whether an iteration's policy is within the limits of its run: the next iteration starts only if it is.

A limit that is crossed ends the run here, before more GPU hours go into a policy that hacks its reward, writes without
end, or has collapsed. The message says which limit, what was measured, and how to go on.

    python -m scripts.evaluate.check_limits --monitor results/demo/evaluation/monitors/iterative-iter2.parquet \\
        --run iterative --iteration 2 --limits.kl 10 --limits.length-growth 3 \\
        --output results/demo/runs/iterative/iter2/within_limits.json
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.common import command, tables
from scripts.common.config import Limits
from scripts.common.errors import StudyError
from scripts.common.files import publish

AT_LEAST = {"win_rate", "agreement"}
"""Measures that must not fall below their limit; the others must not rise above it."""


@dataclass(frozen=True)
class Args:
    monitor: command.Input
    """What the iteration did (table contract: monitor)."""
    run: str
    """The run's name."""
    iteration: int
    """Its iteration, 1, 2, ..."""
    output: command.Output
    """JSON with each limit and what was measured."""
    limits: Limits = field(default_factory=Limits)


def main(args: Args) -> dict[str, Any]:
    monitor = tables.read_table(args.monitor, tables.MONITOR).to_pylist()
    measured = {row["measure"]: row["value"] for row in monitor}
    limits = {name: limit for name, limit in args.limits if limit is not None}
    if crossings := crossed(measured, limits):
        raise StudyError(
            f"run '{args.run}' stops after iteration {args.iteration}, measured on the validation prompts: "
            f"{'; '.join(crossings)}. Its policies so far stand: set runs.{args.run}.iterations to "
            f"{args.iteration - 1 or 'fewer, or change the run'} to end the run before this one, or move the limit in "
            f"runs.{args.run}.limits if this is what you want."
        )
    with publish(args.output) as temporary:
        kept = {name: {"limit": limit, "measured": measured.get(name)} for name, limit in limits.items()}
        temporary.write_text(json.dumps(kept, indent=1) + "\n")
    return {"limits": len(limits)}


def crossed(measured: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """A phrase for each limit that is crossed; a measure that was not taken crosses none."""
    phrases = []
    for name, limit in limits.items():
        value = measured.get(name)
        if value is None:
            continue
        if name in AT_LEAST and value < limit:
            phrases.append(f"{name} is {value:.3g}, and the limit is at least {limit:g}")
        if name not in AT_LEAST and value > limit:
            phrases.append(f"{name} is {value:.3g}, and the limit is at most {limit:g}")
    return phrases


if __name__ == "__main__":
    command.run(main, Args)
