"""The numbers printed in the paper's tables beside the study's: difference, interval, and a verdict.

All but Len. and MMLU of Table 4, which the text of the paper that we had does not show legibly.

A reproduced number agrees where the printed one lies within its 95% interval; a count or a setting has no interval and
agrees where it is within 1%. What the study did not run stands as not run: no number is filled in.

    python -m scripts.report.compare_to_paper --table1 results/demo/tables/table1_reward_models.csv
        --figure3 ...figure3_length_bias.csv --table2 ...table2_chat.csv --table3 ...table3_academic.csv
        --table4-chat ...table4_chat.csv --table4-academic ...table4_academic.csv
        --table5 ...table5_preference_data.csv --filter-totals ...filter_totals.csv --table6 ...table6_benchmarks.csv
        --table7 n_batch_size_per_device 2 n_gradient_accumulation 8 num_train_epochs 2 beta 0.1
        --table results/demo/tables/compare_to_paper.csv --text results/demo/tables/compare_to_paper.md
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.report import plot_length_bias, tabulate_academic, tabulate_chat, tabulate_reward_models
from scripts.report.csv_tables import read_csv, write_csv
from scripts.report.markdown import write_markdown
from scripts.report.paper import PAPER, PAPER_ROWS, paper_run, read_paper

COLUMNS = ["table", "row", "column", "paper", "reproduced", "low", "high", "n", "difference", "verdict", "measured"]
WITHIN, OUTSIDE, NOT_RUN = "within", "outside", "not run"
TOLERANCE = 0.01
"""Relative difference within which a number without an interval agrees."""
TABLE5 = {
    "#Prompts": "prompts",
    "Prompt Len.": "prompt_tokens",
    "Preferred Len.": "chosen_tokens",
    "Rejected Len.": "rejected_tokens",
    "#Pairs": "pairs",
}

Cell = tuple[str, str, str]
"""Table, row and column of the paper."""


@dataclass(frozen=True)
class Reproduced:
    """A number of the study, in the paper's unit, with what it was measured on."""

    value: float
    low: float | None
    high: float | None
    n: int | None
    measured: str

    def scaled(self, factor: float) -> "Reproduced":
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Reproduced(factor * self.value, low, high, self.n, self.measured)


@dataclass(frozen=True)
class Args:
    table: Output
    """CSV with a row for each number of the paper."""
    text: Output
    """The same in Markdown."""
    table1: Input | None = None
    """table1_reward_models.csv; this and the following are left out where a study has no such table."""
    figure3: Input | None = None
    """figure3_length_bias.csv"""
    table2: Input | None = None
    """table2_chat.csv"""
    table3: Input | None = None
    """table3_academic.csv"""
    table4_chat: Input | None = None
    """table4_chat.csv"""
    table4_academic: Input | None = None
    """table4_academic.csv"""
    table5: Input | None = None
    """table5_preference_data.csv"""
    filter_totals: Input | None = None
    """filter_totals.csv"""
    table6: Input | None = None
    """table6_benchmarks.csv"""
    table7: dict[str, float] = field(default_factory=dict)
    """Parameters of DPO by the names of Table 7."""
    paper: Input = PAPER
    """The paper's numbers."""


def main(args: Args) -> dict[str, Any]:
    readers = {
        reward_models: args.table1,
        length_bias: args.figure3,
        chat: args.table2,
        academic: args.table3,
        chat_ablation: args.table4_chat,
        academic_ablation: args.table4_academic,
        preference_data: args.table5,
        dropped: args.filter_totals,
        benchmarks: args.table6,
    }
    found: dict[Cell, Reproduced] = {}
    for reader, path in readers.items():
        if path:
            for cell, number in reader(path):
                found.setdefault(cell, number)  # the first of several that stand for the same row of the paper
    found |= {
        ("table7", "DPO", name): Reproduced(value, None, None, None, "configuration")
        for name, value in args.table7.items()
    }
    rows = [compared(cell, printed, found.get(cell)) for cell, printed in read_paper(args.paper).items()]
    write_csv(rows, args.table, COLUMNS)
    write_markdown("The paper and this study", [line(row) for row in rows], notes(rows), args.text)
    return dict(Counter(row["verdict"] for row in rows))


def compared(cell: Cell, printed: float, number: Reproduced | None) -> dict[str, Any]:
    """A row of the comparison."""
    row = {**dict(zip(("table", "row", "column"), cell, strict=True)), "paper": printed}
    if number is None:
        return {**dict.fromkeys(COLUMNS), **row, "verdict": NOT_RUN}
    return {
        **row,
        "reproduced": number.value,
        "low": number.low,
        "high": number.high,
        "n": number.n,
        "difference": number.value - printed,
        "verdict": WITHIN if agrees(printed, number) else OUTSIDE,
        "measured": number.measured,
    }


def agrees(printed: float, number: Reproduced) -> bool:
    if number.low is not None and number.high is not None:
        return number.low <= printed <= number.high
    return abs(number.value - printed) <= TOLERANCE * abs(printed)


# --- the study's tables in the paper's words --------------------------------------------------------------------------


def rows_of(path: Path, columns: Iterable[str]) -> list[dict[str, Any]]:
    return read_csv(path, columns).to_dicts()


def estimate(row: Mapping[str, Any], name: str, measured: str, n: str = "n") -> Reproduced | None:
    """The number `name` of a row with its interval `{name}_low`, `{name}_high`; None where it was not run."""
    if row[name] is None:
        return None
    low, high = (row.get(f"{name}_{end}", row.get(end)) for end in ("low", "high"))
    return Reproduced(row[name], low, high, row.get(n), measured)


def reward_models(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_reward_models.COLUMNS):
        kind = f"{row['type']} {row['mix']}" if row["mix"] else row["type"]
        yield (("table1", kind, row["section"]), estimate(row, "accuracy", f"model {row['model']}").scaled(100))


def length_bias(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, plot_length_bias.COLUMNS):
        if number := estimate(row, "correlation", f"model {row['model']}"):
            yield (("figure3", f"BT {row['model']}", "Pearson"), number)


def chat(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_chat.TABLE2):
        model = printed_row(row["model"], row["annotator"])
        for name, (_, _, column) in tabulate_chat.COLUMNS.items():
            if model and (number := estimate(row, name, f"policy {row['policy']}", f"{name}_n")):
                yield (("table2", model, column), number)


def printed_row(model: str, annotator: str | None) -> str | None:
    """The paper's row of a model; by a second annotator it prints iterative DPO alone, in the text of Section 4.2."""
    if annotator is None:
        return model
    is_printed = annotator == tabulate_chat.FN_ANNOTATOR and model == tabulate_chat.OURS["iterative DPO"]
    return tabulate_chat.FN_ROW if is_printed else None


def academic(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_academic.TABLE3):
        model = PAPER_ROWS[row["method"]][1] if row["chosen"] and row["method"] in PAPER_ROWS else None
        if model and (number := estimate(row, "value", f"policy {row['policy']}")):
            yield (("table3", model, tabulate_academic.COLUMNS[row["task"]]), number.scaled(100))


def chat_ablation(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_chat.TABLE4):
        printed = paper_run(row["reward_model"], row["length_penalty"])
        if printed is None:
            continue
        measured = f"run {row['run']}"
        yield (("table4", printed, "Len. Pen."), Reproduced(row["length_penalty"], None, None, None, measured))
        for name, (_, _, column) in tabulate_chat.COLUMNS.items():
            if number := estimate(row, name, measured):
                yield (("table4", printed, column), number)


def academic_ablation(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_academic.TABLE4):
        printed = paper_run(row["reward_model"], row["length_penalty"])
        if printed and (number := estimate(row, "value", f"run {row['run']}")):
            yield (("table4", printed, tabulate_academic.COLUMNS[row["task"]]), number.scaled(100))


def preference_data(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, ["source", "paper", *TABLE5.values()]):
        for column, name in TABLE5.items():
            if row["paper"] and row[name] is not None:
                yield (("table5", row["paper"], column), Reproduced(row[name], None, None, None, row["source"]))


def dropped(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, ["source", "percent_dropped", "paper_percent"]):
        if row["paper_percent"] is not None:
            number = Reproduced(row["percent_dropped"], None, None, None, row["source"])
            yield (("appendixB1", "all data sets", "dropped, %"), number)


def benchmarks(path: Path) -> Iterator[tuple[Cell, Reproduced]]:
    for row in rows_of(path, tabulate_academic.TABLE6):
        if row["not_run"] is None and row["shots"] is not None:
            number = Reproduced(row["shots"], None, None, row["n"], f"task {row['task']}")
            yield (("table6", row["benchmark"], "Num. of Shots"), number)


# --- Markdown ---------------------------------------------------------------------------------------------------------


def line(row: Mapping[str, Any]) -> dict[str, str]:
    cells = {name: row[name] for name in ("table", "row", "column")} | {"paper": f"{row['paper']:g}"}
    if row["verdict"] == NOT_RUN:
        return {**cells, "this study": NOT_RUN, "difference": "", "verdict": NOT_RUN, "measured on": ""}
    value = f"{row['reproduced']:.4g}"
    if row["low"] is not None and row["high"] is not None:
        value += f" ({row['low']:.4g} to {row['high']:.4g})"
    difference = f"{row['difference']:+.4g}"
    return {
        **cells,
        **{"this study": value, "difference": difference, "verdict": row["verdict"], "measured on": row["measured"]},
    }


def notes(rows: list[dict[str, Any]]) -> list[str]:
    missing = Counter(row["table"] for row in rows if row["verdict"] == NOT_RUN)
    words = ", ".join(f"{n} of {table}" for table, n in missing.items())
    return [
        "Within: the paper's number lies in the study's 95% interval; numbers without an interval agree within 1%.",
        f"Not run: {words or 'nothing'}.",
    ]


if __name__ == "__main__":
    command.run(main, Args)
