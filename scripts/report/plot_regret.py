"""Algorithm 1 in the linear case: suboptimality against T and against m, on logarithmic axes, with slopes.

python -m scripts.report.plot_regret --table results/theory/tables/regret.csv
    --slopes results/theory/tables/regret_slopes.csv --figure results/theory/regret.svg
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.report.csv_tables import read_csv
from scripts.report.figures import COLOURS, MARKERS, svg_figure
from scripts.report.tabulate_regret import NAMES, SLOPES, TABLE

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Args:
    table: Input
    """regret.csv"""
    slopes: Input
    """regret_slopes.csv"""
    figure: Output
    """SVG"""


def main(args: Args) -> dict:
    table, slopes = read_csv(args.table, TABLE), read_csv(args.slopes, SLOPES)
    return {"panels": plot(table, slopes, args.figure)}


def plot(table: "pl.DataFrame", slopes: "pl.DataFrame", path: Path) -> int:
    """For each coverage: against T with the fewest pairs and with a later batch size, and against m at the end."""
    coverages = table["coverage"].unique(maintain_order=True).to_list()
    batches = sorted(table["batch"].unique())
    few, many, last = batches[0], batches[len(batches) // 2], table["iteration"].max()
    with svg_figure(path, len(coverages), 3, (4.0, 3.2)) as (_, axes):
        panels = iter(axes)
        for coverage in coverages:
            here, theirs = table.filter(coverage=coverage), slopes.filter(coverage=coverage)
            for batch in (few, many):
                panel = next(panels)
                panel.set_title(f"{coverage} π₀, m = {batch}")
                after_data = here.filter(batch=batch).remove(iteration=0)
                draw(panel, after_data, theirs.filter(against="T", at=batch), "iteration", "iterations T")
            panel = next(panels)
            panel.set_title(f"{coverage} π₀, T = {last}")
            draw(panel, here.filter(iteration=last), theirs.filter(against="m", at=last), "batch", "batch size m")
    return 3 * len(coverages)


def draw(panel, rows: "pl.DataFrame", slopes: "pl.DataFrame", x: str, unit: str) -> None:
    """The methods' suboptimality against one column, with their slopes in the legend."""
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xlabel(unit)
    panel.set_ylabel("suboptimality")
    ticks = [value for value in sorted(rows[x].unique()) if value.bit_count() == 1]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.minorticks_off()
    for index, (method, name) in enumerate(NAMES.items()):
        points = rows.filter(method=method).sort(x)
        fitted = slopes.filter(method=method)["slope"].item()
        colour, marker = COLOURS[index], MARKERS[index]
        label = f"{name}, slope {fitted:.2f}"
        panel.plot(points[x], points["suboptimality"], color=colour, marker=marker, markersize=4, label=label)
        panel.fill_between(points[x], points["low"], points["high"], color=colour, alpha=0.15, linewidth=0)
    panel.legend(fontsize=8)


if __name__ == "__main__":
    command.run(main, Args)
