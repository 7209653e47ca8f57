"""Figures of the preference data, by source: lengths of both responses, margins of scores, what the filter dropped.

From the tables of `scripts.data.summarise_preferences`, a small panel for each source.

    python -m scripts.report.plot_preferences --filter-report results/demo/tables/filter_report.csv
        --filter-totals ...filter_totals.csv --length-gaps ...length_gaps.csv
        --length-histograms ...length_histograms.csv --margin-histograms ...margin_histograms.csv --max-tokens 256
        --preference-lengths results/demo/figures/preference_lengths.svg --preference-margins ... --filtered-pairs ...
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.report.csv_tables import read_csv
from scripts.report.figures import COLOURS, GREY, svg_figure

COLUMNS = 4  # panels in a row
PANEL = (2.7, 1.95)  # inches
BINS_A_POWER = 4  # bins between a power of two and the next (length_histograms.sql)
PARTS = {"chosen": COLOURS[0], "rejected": COLOURS[1]}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Args:
    filter_report: Input
    filter_totals: Input
    length_gaps: Input
    length_histograms: Input
    margin_histograms: Input
    max_tokens: int
    """Longest prompt with its longer response that the filter kept."""
    preference_lengths: Output
    """How long chosen and rejected responses are."""
    preference_margins: Output
    """By how much the scores of a pair differ."""
    filtered_pairs: Output
    """What the filter dropped, and why."""


def main(args: Args) -> dict:
    gaps = read_csv(args.length_gaps, ["source", "pairs", "percent_chosen_longer", "mean_gap"]).to_dicts()
    lengths = by_source(read_csv(args.length_histograms, ["source", "part", "low", "high", "pairs"]).to_dicts())
    margins = by_source(read_csv(args.margin_histograms, ["source", "low", "high", "kept", "dropped"]).to_dicts())
    reasons = by_source(read_csv(args.filter_report, ["source", "reason", "pairs", "percent"]).to_dicts())
    totals = read_csv(args.filter_totals, ["source", "read", "dropped", "percent_dropped", "paper_percent"]).to_dicts()
    plot_lengths(lengths, {row["source"]: row for row in gaps}, args.max_tokens, args.preference_lengths)
    plot_margins(margins, args.preference_margins)
    plot_reasons(reasons, totals, args.filtered_pairs)
    return {"sources": len(reasons), "sources_with_scores": len(margins)}


def by_source(rows: Rows) -> dict[str, Rows]:
    """The rows of each source, in the order of the table."""
    found: dict[str, Rows] = {}
    for row in rows:
        found.setdefault(row["source"], []).append(row)
    return found


def plot_lengths(lengths: dict[str, Rows], gaps: dict[str, dict], max_tokens: int, path: Path) -> None:
    """A panel a source: shares of chosen and rejected responses by length, on a logarithmic axis."""
    longest = max((row["high"] for rows in lengths.values() for row in rows), default=2)
    with small_multiples(path, list(lengths)) as panels:
        for source, panel in panels.items():
            for part, colour in PARTS.items():
                rows = [row for row in lengths[source] if row["part"] == part]
                outline(panel, rows, colour, part)
            panel.axvline(max_tokens, color=GREY, linewidth=1, linestyle=":")
            panel.set_xscale("log", base=2)
            panel.set_ylim(top=1.5 * panel.get_ylim()[1])  # room for what is said in it
            panel.set_xlim(1, max(longest, max_tokens * 1.1))
            panel.xaxis.set_major_formatter("{x:.0f}")
            gap = gaps[source]
            said = f"chosen longer {gap['percent_chosen_longer']:.0f}%\nmean gap {gap['mean_gap']:+.1f}"
            panel.text(0.02, 0.96, said, transform=panel.transAxes, va="top", fontsize=8, color="#374151")
            label_outer(panel, list(panels.values()), "tokens of the response", "% of pairs")


def plot_margins(margins: dict[str, Rows], path: Path) -> None:
    """A panel a source with scores: pairs by the difference of their scores, those dropped for it in grey."""
    with small_multiples(path, list(margins)) as panels:
        for source, panel in panels.items():
            rows = margins[source]
            edges, widths = [row["low"] for row in rows], [row["high"] - row["low"] for row in rows]
            kept, dropped = ([row[name] for row in rows] for name in ("kept", "dropped"))
            panel.bar(edges, kept, widths, align="edge", color=COLOURS[0], label="kept")
            panel.bar(edges, dropped, widths, bottom=kept, align="edge", color="#c4c9d1", label="dropped: small margin")
            panel.set_xlim(left=0)
            label_outer(panel, list(panels.values()), "chosen score \N{MINUS SIGN} rejected score", "pairs")


def plot_reasons(reasons: dict[str, Rows], totals: Rows, path: Path) -> None:
    """A bar a source, cut by reason: the percentage of the pairs read that each took."""
    names = sorted({row["reason"] for rows in reasons.values() for row in rows} - {"kept"})
    looks = {name: (COLOURS[i % len(COLOURS)], ("", "//", "xx")[i // len(COLOURS) % 3]) for i, name in enumerate(names)}
    everything = next(row for row in totals if row["source"] == "total")
    with svg_figure(path, 1, 1, (10.8, 0.9 + 0.32 * (len(reasons) + 1))) as (figure, (panel,)):
        for source, rows in reasons.items():
            start = 0.0
            for row in rows:
                if row["reason"] != "kept":
                    colour, hatch = looks[row["reason"]]
                    bar(panel, source, row["percent"], start, colour, hatch)
                    start += row["percent"]
            panel.text(start, source, f" {start:.1f}%", va="center", fontsize=9, color="#374151")
        bar(panel, "all", everything["percent_dropped"], 0, GREY, "")
        panel.text(
            everything["percent_dropped"], "all", f" {everything['percent_dropped']:.1f}%", va="center", fontsize=9
        )
        panel.axvline(
            everything["paper_percent"], color="#374151", linewidth=1.2, linestyle=":", label="the paper: about 10%"
        )
        for name, (colour, hatch) in looks.items():
            bar(panel, "all", 0, 0, colour, hatch, name.replace("_", " "))
        panel.invert_yaxis()
        panel.set_xlabel("% of the pairs read")
        panel.grid(axis="y", visible=False)
        figure.legend(loc="outside right upper", fontsize=9)


def bar(panel, where: str, width: float, start: float, colour: str, hatch: str, label: str | None = None) -> None:
    panel.barh(where, width, left=start, height=0.7, color=colour, hatch=hatch, edgecolor="white", label=label)


def outline(panel, rows: Rows, colour: str, label: str) -> None:
    """A histogram of quarter powers of two as one stepped line, in percent; bins that no row names are empty."""
    pairs = {round(BINS_A_POWER * math.log2(row["low"])): row["pairs"] for row in rows}
    bins = range(min(pairs, default=0), max(pairs, default=0) + 1)
    total = sum(pairs.values()) or 1
    edges = [2 ** (k / BINS_A_POWER) for k in (*bins, bins[-1] + 1)]
    panel.stairs([100 * pairs.get(k, 0) / total for k in bins], edges, color=colour, linewidth=1.4, label=label)


def label_outer(panel, panels: Sequence, x: str, y: str) -> None:
    """Axis labels at the edge of the grid alone."""
    index = panels.index(panel)
    if index % COLUMNS == 0:
        panel.set_ylabel(y)
    if index + COLUMNS >= len(panels):
        panel.set_xlabel(x)


@contextmanager
def small_multiples(path: Path, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Panels by name, `COLUMNS` in a row, with one legend above them; a figure without names says that it is empty."""
    rows = max(1, -(-len(names) // COLUMNS))
    with svg_figure(path, rows, min(COLUMNS, max(1, len(names))), PANEL) as (figure, axes):
        panels = dict(zip(names, axes, strict=False))
        for name, panel in panels.items():
            panel.set_title(name, fontsize=10)
        for panel in axes[len(names) :]:
            panel.set_visible(False)
        yield panels
        if names:
            handles, labels = axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper right", ncols=len(labels))
        else:
            figure.text(0.5, 0.5, "no source has scores", ha="center", va="center", color=GREY)


if __name__ == "__main__":
    command.run(main, Args)
