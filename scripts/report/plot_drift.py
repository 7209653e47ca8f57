"""The monitors of all runs: what each iteration gained and how far it drifted, as one table and one figure.

From the monitor of each iteration (scripts.evaluate.monitor_policy), measured on validation prompts. A run's limit on a
measure is drawn as a line that the curve must not cross.

    python -m scripts.report.plot_drift --policies iterative-iter1 iterative-iter2 concise-iter1
        --monitors results/demo/evaluation/monitors/iterative-iter1.parquet ...
        --runs iterative concise --limits kl=10,length_growth=3 none
        --table results/demo/tables/monitors.csv --figure results/demo/figures/drift.svg
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.report.csv_tables import write_csv
from scripts.report.figures import GREY, banded_line, svg_figure
from scripts.report.tabulate_policies import split_name

COLUMNS = ["run", "iteration", "measure", "value", "low", "high", "n", "limit"]
PANELS = {
    "reward_gain": ("Reward gained", "against the iteration before"),
    "win_rate": ("Win rate", "against the iteration before"),
    "agreement": ("Judge and reward agree", "share of prompts told apart"),
    "kl": ("KL to the SFT policy", "nats"),
    "length_growth": ("Length", "times the SFT policy's"),
    "truncated": ("Cut off", "share of answers"),
    "repetition": ("Repetition", "share of four-word sequences"),
    "distinct_pairs": ("distinct-2", "share of word pairs"),
}
UNLIMITED = "none"


@dataclass(frozen=True)
class Args:
    policies: tuple[str, ...]
    """`{run}-iter{t}`, the iterations of a run in order."""
    monitors: tuple[Input, ...]
    """The monitor of each, in the same order (table contract: monitor)."""
    runs: tuple[str, ...]
    """Names of the runs."""
    limits: tuple[str, ...]
    """The limits of each run as `measure=limit,...`, or `none`."""
    table: Output
    """CSV with a row for each run, iteration and measure."""
    figure: Output
    """SVG"""


def main(args: Args) -> dict:
    if len(args.policies) != len(args.monitors) or len(args.runs) != len(args.limits):
        raise StudyError("--policies and --monitors, and --runs and --limits, must have the same number of values.")
    limits = {run: parse_limits(text) for run, text in zip(args.runs, args.limits, strict=True)}
    rows = []
    for policy, path in zip(args.policies, args.monitors, strict=True):
        run, iteration = split_name(policy)
        for row in tables.read_table(path, tables.MONITOR).to_pylist():
            rows.append({"run": run, "iteration": iteration, **row, "limit": limits[run].get(row["measure"])})
    write_csv(rows, args.table, COLUMNS)
    plot(rows, args.figure)
    return {"policies": len(args.policies), "rows": len(rows)}


def parse_limits(text: str) -> dict[str, float]:
    """`kl=10,length_growth=3` as a mapping."""
    if text == UNLIMITED:
        return {}
    return {name: float(value) for name, _, value in (item.partition("=") for item in text.split(","))}


def plot(rows: Sequence[Mapping], path: Path) -> None:
    """A panel a measure; runs keep their colour and marker in all of them."""
    shown = [name for name in PANELS if any(row["measure"] == name for row in rows)]
    runs = list(dict.fromkeys(row["run"] for row in rows))
    columns = 4
    with svg_figure(path, -(-len(shown) // columns), columns, (2.9, 2.6)) as (figure, axes):
        for panel, name in zip(axes, shown, strict=False):
            title, unit = PANELS[name]
            panel.set_title(title)
            panel.set_ylabel(unit)
            panel.set_xlabel("iteration")
            panel.set_xticks(sorted({row["iteration"] for row in rows}))
            for index, run in enumerate(runs):
                points = [row for row in rows if (row["run"], row["measure"]) == (run, name)]
                values = ([row[column] for row in points] for column in ("iteration", "value", "low", "high"))
                banded_line(panel, *values, index, run)
            for limit in {row["limit"] for row in rows if row["measure"] == name and row["limit"] is not None}:
                panel.axhline(limit, color=GREY, linewidth=1, linestyle="--")
        for panel in axes[len(shown) :]:
            panel.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


if __name__ == "__main__":
    command.run(main, Args)
