"""Figure 9: the study's models on all nine benchmarks, beside the paper's models of the same name.

From the comparison with the paper: filled bars with 95% intervals are the study's, hollow ones the paper's. A benchmark
that the study did not run shows the paper's bars alone.

    python -m scripts.report.plot_evaluation --table results/demo/tables/compare_to_paper.csv
        --figure results/demo/figures/figure9_evaluation.svg --data results/demo/figures/figure9_evaluation.csv
"""

from dataclasses import dataclass
from typing import Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.report.compare_to_paper import COLUMNS
from scripts.report.csv_tables import read_csv, write_csv
from scripts.report.figures import COLOURS, GREY, svg_figure

MODELS = {
    "Ours (SFT baseline)": "SFT",
    "Ours (DPO baseline)": "offline DPO",
    "Ours (Iterative RLHF)": "iterative DPO",
    "LLaMA-3-8B-it": "LLaMA-3-8B-it",
}
BENCHMARKS = {
    "LC AlpacaEval-2": "LC win rate, %",
    "MT-Bench": "rating, 1 to 10",
    "Chat-Arena-Hard": "win rate, %",
    "GSM-8K": "accuracy, %",
    "MMLU": "accuracy, %",
    "HumanEval": "pass@1, %",
    "TruthfulQA": "mc2, %",
    "ARC": "accuracy, %",
    "MBPP": "pass@1, %",
}
TABLES = ("table2", "table3")
WIDTH = 0.38
DRAWN = ["benchmark", "model", "value", "low", "high", "paper"]


@dataclass(frozen=True)
class Args:
    table: Input
    """compare_to_paper.csv"""
    figure: Output
    """SVG"""
    data: Output
    """CSV of what is drawn: a row for each benchmark and model."""


def main(args: Args) -> dict[str, Any]:
    found = {
        (row["row"], row["column"]): row for row in read_csv(args.table, COLUMNS).to_dicts() if row["table"] in TABLES
    }
    drawn = []
    for benchmark in BENCHMARKS:
        for model, label in MODELS.items():
            row = found.get((model, benchmark)) or dict.fromkeys(COLUMNS)
            drawn.append({"benchmark": benchmark, "model": label, "value": row["reproduced"]})
            drawn[-1] |= {name: row[name] for name in ("low", "high", "paper")}
    write_csv(drawn, args.data, DRAWN)
    with svg_figure(args.figure, 3, 3, (3.6, 2.5)) as (figure, axes):
        for panel, (benchmark, unit) in zip(axes, BENCHMARKS.items(), strict=True):
            panel.set_title(benchmark)
            panel.set_ylabel(unit)
            panel.set_xticks(range(len(MODELS)), [name.replace(" ", "\n", 1) for name in MODELS.values()], fontsize=8)
            panel.grid(axis="x", visible=False)
            for place, model in enumerate(MODELS):
                bars(panel, place, found.get((model, benchmark)), COLOURS[place])
        handles = [panel.bar([0], [0], color=GREY), panel.bar([0], [0], color="none", edgecolor=GREY)]
        figure.legend(handles, ["this study", "the paper"], loc="outside upper center", ncols=2)
    return {"bars": sum(row["reproduced"] is not None for row in found.values())}


def bars(panel, place: int, row: dict[str, Any] | None, colour: str) -> None:
    """The study's number with its interval, and the paper's, side by side."""
    if row is None:
        return
    panel.bar(place + WIDTH / 2, row["paper"], WIDTH, color="none", edgecolor=colour, linewidth=1.2)
    value, low, high = row["reproduced"], row["low"], row["high"]
    if value is None:
        return
    panel.bar(place - WIDTH / 2, value, WIDTH, color=colour)
    if low is not None and high is not None:
        panel.vlines(place - WIDTH / 2, low, high, color="black", linewidth=1)


if __name__ == "__main__":
    command.run(main, Args)
