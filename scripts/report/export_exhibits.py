"""The paper's tables and figures as a study has them, in forms to take away: Markdown with caption, tables as drawings.

From the CSV of each table, and of what each figure draws. A table gets Markdown and a drawing (SVG) beside its CSV, a
figure, which is a drawing already, Markdown beside it: title, caption, and the numbers. They have the cells and the
captions of the page.

    python -m scripts.report.export_exhibits --judge gold
        --tables results/demo/tables/table2_chat.csv results/demo/tables/table3_academic.csv
        --figures results/demo/figures/figure8_iterations.csv
        --drawings results/demo/tables/table2_chat.svg results/demo/tables/table3_academic.svg
        --texts results/demo/tables/table2_chat.md results/demo/tables/table3_academic.md
                results/demo/figures/figure8_iterations.md
"""

import html
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.report import page_academic, page_tables, plot_evaluation, plot_iterations, plot_training
from scripts.report.captions import Caption, captions
from scripts.report.csv_tables import read_csv
from scripts.report.markdown import write_markdown
from scripts.report.page_tables import Table, interval, number, text
from scripts.report.paper import PAPER
from scripts.report.tabulate_policies import TABLE2

TEMPLATE = Path(__file__).with_name("table.svg.jinja")
SMALL_PRINT = re.compile(r'<span class="ci">(.*?)</span>')
CHARACTER, MARGIN = 7.4, 22  # points: the width of a character as a rule, the space between columns


@dataclass(frozen=True)
class Args:
    tables: tuple[Input, ...]
    """CSVs of tables, named as in scripts/report/captions.py."""
    figures: tuple[Input, ...]
    """CSVs of what the figures draw."""
    drawings: tuple[Output, ...]
    """SVG of each table."""
    texts: tuple[Output, ...]
    """Markdown of each table, then of each figure."""
    judge: Literal["gold", "reward"] = "reward"
    """Whose scores decide wins."""
    paper: Input = PAPER
    """The paper's numbers."""
    template: Input = TEMPLATE
    """The frame of the drawings."""


def main(args: Args) -> dict[str, Any]:
    if len(args.tables) != len(args.drawings) or len(args.tables) + len(args.figures) != len(args.texts):
        raise StudyError("give one of --drawings for each of --tables, and one of --texts for each table and figure.")
    sources = {path.stem: path for path in (*args.tables, *args.figures)}
    policies, academic = sources.get("table2_policies"), sources.get("table3_academic")
    said = captions(
        args.judge,
        read_csv(policies, TABLE2)["n"][0] if policies else None,
        page_academic.not_run(academic) if academic else [],
    )
    makers = exhibits(args.paper)
    for output in args.texts:
        if output.stem not in sources or output.stem not in makers:
            raise StudyError(f"--texts {output}: is named after no table or figure; known: {', '.join(makers)}.")
        table, caption = makers[output.stem](sources[output.stem]), said[output.stem]
        note = caption.text.replace("Small print:", "In brackets:")
        write_markdown(caption.title, markdown_rows(table), [note], output)
    for output in args.drawings:
        with publish(output) as temporary:
            temporary.write_text(drawing(makers[output.stem](sources[output.stem]), said[output.stem], args.template))
    return {"tables": len(args.tables), "figures": len(args.figures)}


def exhibits(paper: Path) -> dict[str, Callable[[Path], Table]]:
    """Name of an exhibit's file -> how its CSV becomes a table for people."""
    return {
        "table2_policies": lambda path: page_tables.table2(path, paper),
        "table2_chat": page_tables.table2_chat,
        "table3_academic": page_academic.table3,
        "table4_length_penalty": lambda path: page_tables.table4(path, paper),
        "table4_academic": page_academic.table4,
        "table4_chat": page_tables.table4_chat,
        "table6_benchmarks": page_academic.table6,
        "figure5_prompts": prompts,
        "figure6_7_training": training,
        "figure8_iterations": iterations,
        "figure9_evaluation": evaluation,
    }


# --- the numbers of the figures ---------------------------------------------------------------------------------------


def prompts(path: Path) -> Table:
    """Prompts by topic down, by collection across."""
    frame = read_csv(path, ["x", "y", "source", "topic"])
    crossed = frame.pivot("source", index="topic", values="x", aggregate_function="len").fill_null(0)
    rows = [
        {"topic": text(row.pop("topic")), **{text(source): number(count) for source, count in row.items()}}
        for row in crossed.sort("topic").to_dicts()
    ]
    return Table(rows, "figure5")


def training(path: Path) -> Table:
    """Models down: the first and the last running mean of what was logged."""
    frame = read_csv(path, plot_training.COLUMNS)
    rows = []
    for model in frame["model"].unique(maintain_order=True):
        record = frame.filter(frame["model"] == model)
        row = {"model": f"<b>{text(model)}</b>", "steps": number(record["step"].max())}
        for name, title in plot_training.PANELS.items():
            values = record[name if name == "learning_rate" else f"{name}_mean"]
            form = "{:.1e}" if name == "learning_rate" else "{:.3f}"
            row |= {f"{title}, first": number(values[0], form), f"{title}, last": number(values[-1], form)}
        rows.append(row)
    return Table(rows, "figure6-7")


def iterations(path: Path) -> Table:
    """Runs and iterations down, measures across."""
    lines: dict[tuple[str, int], dict[str, str]] = {}
    for row in read_csv(path, plot_iterations.COLUMNS).to_dicts():
        key = (row["run"], row["iteration"])
        line = lines.setdefault(key, {"run": f"<b>{text(row['run'])}</b>", "iteration": number(row["iteration"])})
        title, unit = plot_iterations.PANELS[row["measure"]]
        line[f"{title}, {unit}"] = interval(row, "value", "{:.3g}", 1, "low", "high")
    return Table(list(lines.values()), "figure8")


def evaluation(path: Path) -> Table:
    """Benchmarks down; of each model the study's number and the paper's across."""
    lines: dict[str, dict[str, str]] = {}
    for row in read_csv(path, plot_evaluation.DRAWN).to_dicts():
        line = lines.setdefault(row["benchmark"], {"benchmark": f"<b>{text(row['benchmark'])}</b>"})
        line[text(row["model"])] = interval(row, "value", "{:.1f}", 1, "low", "high")
        line[f"{text(row['model'])}, paper"] = f"<i>{number(row['paper'], '{:.1f}')}</i>"
    return Table(list(lines.values()), "figure9")


# --- cells without HTML -----------------------------------------------------------------------------------------------


def plain(cell: str) -> list[str]:
    """What a cell says, then each line of its small print.

    >>> plain('<b>sft</b> ★<span class="ci">0.1 to 0.3</span>')
    ['sft ★', '0.1 to 0.3']
    """
    parts = [SMALL_PRINT.sub("", cell), *SMALL_PRINT.findall(cell)]
    words = [html.unescape(re.sub(r"<[^>]+>", "", part)).strip() for part in parts]
    return [words[0], *filter(None, words[1:])]


def is_aside(table: Table, place: int, cell: str) -> bool:
    """Whether a cell holds a number of the paper, or a difference: its line's place or its own mark says so."""
    return place in table.muted or cell.startswith("<i>")


def markdown_rows(table: Table) -> list[dict[str, str]]:
    """Small print in brackets; the paper's numbers and differences in italics."""

    def cell(value: str, aside: bool) -> str:
        first, *small = plain(value)
        words = f"{first} ({'; '.join(small)})" if small and first else first or "; ".join(small)
        return f"*{words}*" if words and aside else words

    return [
        {html.unescape(name): cell(value, is_aside(table, place, value)) for name, value in row.items()}
        for place, row in enumerate(table.rows)
    ]


def drawing(table: Table, caption: Caption, template: Path) -> str:
    """A table as SVG; columns are as wide as their longest cell, the paper's numbers and differences in italics."""
    import jinja2

    columns = [html.unescape(name) for name in table.rows[0]]
    cells = [
        [{"lines": plain(value), "aside": is_aside(table, place, value)} for value in row.values()]
        for place, row in enumerate(table.rows)
    ]
    widths = [
        CHARACTER * max(len(name), *(len(line) for row in cells for line in row[place]["lines"])) + MARGIN
        for place, name in enumerate(columns)
    ]
    left = [place == 0 or name in table.left for place, name in enumerate(table.rows[0])]
    edges = [sum(widths[:place]) for place in range(len(widths))]
    anchors = [
        edge if is_left else edge + width - MARGIN for edge, width, is_left in zip(edges, widths, left, strict=True)
    ]
    width = max(sum(widths), 640)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(template.read_text()).render(
        title=caption.title,
        caption=textwrap.wrap(caption.text, int(width / 6.2)),
        columns=[
            {"x": x, "left": is_left, "name": name} for x, is_left, name in zip(anchors, left, columns, strict=True)
        ],
        rows=cells,
        width=width,
    )


if __name__ == "__main__":
    command.run(main, Args)
