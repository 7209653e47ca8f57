"""Figure 8: how the policies change over the iterations.

From Table 2: each online run is a line from the SFT policy (iteration 0) on, an offline run a dashed level, with bands
of the 95% intervals.

    python -m scripts.report.plot_iterations --table results/demo/tables/table2_policies.csv
        --figure results/demo/figures/figure8_iterations.svg --data results/demo/figures/figure8_iterations.csv
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.report.csv_tables import read_csv, write_csv
from scripts.report.figures import COLOURS, GREY, banded_line, svg_figure
from scripts.report.tabulate_policies import TABLE2

if TYPE_CHECKING:
    import polars as pl

PANELS = {
    "gold": ("Gold reward", "mean gold reward"),
    "reward": ("Reward", "mean reward"),
    "win_rate": ("Win rate against SFT", "share of prompts"),
    "kl": ("KL to the SFT policy", "nats"),
    "characters": ("Length", "characters"),
}
COLUMNS = ["run", "iteration", "method", "measure", "value", "low", "high"]


@dataclass(frozen=True)
class Args:
    table: Input
    """table2_policies.csv"""
    figure: Output
    """SVG"""
    data: Output
    """CSV of what is drawn: a row for each run, iteration and measure."""


def main(args: Args) -> dict:
    policies = read_csv(args.table, TABLE2)
    shown = [name for name in PANELS if policies[name].null_count() == 0]
    plot(policies, shown, args.figure)
    drawn = [
        {"run": row["run"], "iteration": row["iteration"], "method": row["method"], "measure": name}
        | {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
        for row in policies.to_dicts()
        for name in shown
    ]
    write_csv(drawn, args.data, COLUMNS)
    return {"panels": len(shown)}


def plot(policies: "pl.DataFrame", shown: list[str], path: Path) -> None:
    """A panel a measure; runs keep their colour and marker in all of them."""
    rows = policies.to_dicts()
    start = next(row for row in rows if row["method"] == "SFT")
    runs: dict[str, list[dict]] = {}
    for row in rows:
        if row is not start:
            runs.setdefault(row["run"], []).append(row)
    last = max((row["iteration"] for row in rows), default=1)
    columns = 3
    with svg_figure(path, -(-len(shown) // columns), columns, (3.6, 2.9)) as (figure, axes):
        for panel, name in zip(axes, shown, strict=False):
            title, unit = PANELS[name]
            panel.set_title(title)
            panel.set_ylabel(unit)
            panel.set_xlabel("iteration")
            panel.set_xticks(range(last + 1), ["SFT", *map(str, range(1, last + 1))])
            panel.axhline(start[name], color=GREY, linewidth=1, linestyle=":", label="SFT")
            for index, (run, points) in enumerate(runs.items()):
                if points[0]["method"] == "offline DPO":
                    level(panel, points[-1], name, COLOURS[index % len(COLOURS)], run, last)
                else:
                    columns_of = ("iteration", name, f"{name}_low", f"{name}_high")
                    values = ([point[column] for point in (start, *points)] for column in columns_of)
                    banded_line(panel, *values, index, run)
        for panel in axes[len(shown) :]:
            panel.set_visible(False)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


def level(panel, point: dict, name: str, colour: str, label: str, last: int) -> None:
    """A policy that has no iterations, as a dashed line across."""
    panel.axhline(point[name], color=colour, linewidth=1.6, linestyle="--", label=label)
    if point[f"{name}_low"] is not None:
        panel.fill_between(
            [0, last], point[f"{name}_low"], point[f"{name}_high"], color=colour, alpha=0.08, linewidth=0
        )


if __name__ == "__main__":
    command.run(main, Args)
