"""Tables for the page and for export: measured numbers, their intervals, the paper's in a muted line or a column."""

import html
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.report.compare_to_paper import COLUMNS as COMPARISON
from scripts.report.compare_to_paper import NOT_RUN, WITHIN
from scripts.report.csv_tables import read_csv
from scripts.report.page_facts import PAIR_COUNTS
from scripts.report.paper import PAPER_ROWS, paper_run, paper_value
from scripts.report.plot_best_of_n import COLUMNS as BEST_OF_N
from scripts.report.plot_calibration import CALIBRATION
from scripts.report.plot_drift import COLUMNS as MONITORS
from scripts.report.plot_prompts import COLUMNS as TOPICS
from scripts.report.tabulate_chat import TABLE2 as TABLE2_CHAT
from scripts.report.tabulate_chat import TABLE4 as TABLE4_CHAT
from scripts.report.tabulate_held_out import COLUMNS as HELD_OUT
from scripts.report.tabulate_policies import TABLE2, TABLE4
from scripts.report.tabulate_position_bias import COLUMNS as POSITION_BIAS
from scripts.report.tabulate_reward_models import COLUMNS as TABLE1
from scripts.report.tabulate_reward_models import SUBSETS

TABLE5 = ["source", "prompts", "prompt_tokens", "chosen_tokens", "rejected_tokens", "completion", "annotator", "pairs"]
TABLE5 += ["paper", *(f"paper_{name}" for name in TABLE5 if name not in ("source", "completion", "annotator"))]
FILTERS = ["source", "reason", "pairs", "percent"]
FILTER_TOTALS = ["source", "read", "dropped", "percent_dropped", "paper_percent"]
LENGTHS = ["source", "part", "p50", "p90", "p99", "longest"]
LENGTH_GAPS = ["source", "percent_chosen_longer", "mean_gap"]
LENGTH_CUTS = ["source", "max_tokens", "percent_pairs"]
MEASURES = {
    "gold": ("gold reward", "{:.2f}", 1),
    "reward": ("reward", "{:.2f}", 1),
    "win_rate": ("win rate, %", "{:.1f}", 100),
    "kl": ("KL, nats", "{:.2f}", 1),
    "characters": ("characters", "{:.0f}", 1),
}
MONITORED = {
    "reward": ("reward", "{:.2f}", 1),
    "reward_gain": ("gained", "{:+.2f}", 1),
    "win_rate": ("win rate, %", "{:.1f}", 100),
    "agreement": ("judge agrees, %", "{:.1f}", 100),
    "kl": ("KL, nats", "{:.2f}", 1),
    "characters": ("characters", "{:.0f}", 1),
    "truncated": ("cut off, %", "{:.1f}", 100),
    "repetition": ("repetition, %", "{:.1f}", 100),
    "distinct_pairs": ("distinct-2, %", "{:.1f}", 100),
}
NONE = "–"
NUMBER = re.compile("[+\N{MINUS SIGN}]?[0-9][0-9,]*(?:[.][0-9]+)?")  # as `number` prints it, at the start of a cell
DEEPEST = 25  # percent of the accent colour: on more than that, small print is hard to read


# --- cells ------------------------------------------------------------------------------------------------------------


def number(value: float | None, form: str = "{:,.0f}") -> str:
    """A number, or a dash where there is none."""
    return NONE if value is None else form.format(value).replace("-", "\N{MINUS SIGN}")


def interval(row: Mapping[str, Any], name: str, form: str, scale: float = 1, low: str = "", high: str = "") -> str:
    """A number with its interval in small print beneath; columns `name_low` and `name_high` unless named otherwise."""
    value, bottom, top = row[name], row[low or f"{name}_low"], row[high or f"{name}_high"]
    if value is None:
        return NONE
    text = number(value * scale, form)
    if bottom is None or top is None:
        return text
    return f'{text}<span class="ci">{number(bottom * scale, form)} to {number(top * scale, form)}</span>'


def value_of(shown: re.Match[str]) -> float:
    """What `number` has printed, as NUMBER finds it in a cell."""
    return float(shown[0].replace(",", "").replace("\N{MINUS SIGN}", "-"))


def text(value: Any) -> str:
    return NONE if value is None else html.escape(str(value))


@dataclass(frozen=True)
class Table:
    """Rows of ready HTML cells; the keys of the first row are the headings."""

    rows: Sequence[Mapping[str, str]]
    identity: str
    left: Sequence[str] = ()
    """Columns of words, aligned left as the first is; the others hold numbers."""
    muted: Sequence[int] = ()
    """Indices of rows that hold the paper's numbers or differences."""
    heat: Sequence[str] = ()
    """Columns whose numbers are shaded, the deeper the higher; muted rows are not."""

    def shades(self, column: str) -> dict[int, int]:
        """Row -> percent of the accent colour: from 0 at the column's lowest number to DEEPEST at its highest."""
        shown = {i: NUMBER.match(row[column]) for i, row in enumerate(self.rows) if i not in self.muted}
        values = {i: value_of(found) for i, found in shown.items() if found}
        low, high = min(values.values(), default=0), max(values.values(), default=0)
        return {i: round(DEEPEST * (value - low) / (high - low)) for i, value in values.items() if value > low}

    def __html__(self) -> str:
        import polars as pl
        from great_tables import GT, loc, style

        frame = pl.DataFrame(self.rows, infer_schema_length=None)
        columns = frame.columns
        built = GT(frame, id=self.identity).fmt(lambda cell: cell, columns=columns)  # cells are taken as they are
        built = built.cols_align("right", columns=columns).cols_align("left", columns=[columns[0], *self.left])
        if self.muted:
            muted = loc.body(rows=list(self.muted))
            built = built.tab_style(style.css("color: var(--muted); font-style: italic"), muted)
        for column in self.heat:
            for row, shade in self.shades(column).items():
                built = built.tab_style(style.css(f"--heat: {shade}%"), loc.body(columns=column, rows=[row]))
        # the library's own colours and sizes are dropped: the page's style sheet sets them, light and dark
        return re.sub(r"<style>.*?</style>", "", built.as_raw_html(), flags=re.DOTALL)


# --- tables -----------------------------------------------------------------------------------------------------------


def table1(path: Path) -> Table:
    """Models down, sections across; under each model the paper's corresponding row."""
    rows = read_csv(path, TABLE1).to_dicts()
    sections = list(dict.fromkeys(row["section"] for row in rows))
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    for model in dict.fromkeys(row["model"] for row in rows):
        found = {row["section"]: row for row in rows if row["model"] == model}
        first = next(iter(found.values()))
        cells = {
            s: interval(found[s], "accuracy", "{:.1f}", 100, "low", "high") if s in found else NONE for s in sections
        }
        counts = " + ".join(str(row["n"]) for row in found.values())
        lines.append(
            {"model": text(model), "type": text(first["type"]), "mix": text(first["mix"]), **cells, "n": counts}
        )
        if any(row["paper"] is not None for row in found.values()):
            muted.append(len(lines))
            printed = {s: scaled(found[s]["paper"] if s in found else None) for s in sections}
            lines.append({"model": "paper", "type": text(first["type"]), "mix": text(first["mix"]), **printed, "n": ""})
    return Table(lines, "table1", ["type", "mix"], muted, sections)


def table1_subsets(path: Path) -> Table:
    """Subsets down, models across."""
    rows = read_csv(path, SUBSETS).to_dicts()
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault(row["subset"], {"subset": text(row["subset"]), "section": text(row["section"])})
        line |= {"n": number(row["n"]), "weight": number(row["weight"])}
        line[text(row["model"])] = interval(row, "accuracy", "{:.1f}", 100, "low", "high")
    return Table(list(lines.values()), "table1-subsets", ["section"])


def position_bias(path: Path) -> Table | None:
    """Judges that read two responses down; what the position does to their verdicts across."""
    shown = {
        "p(A)": "probability_of_a",
        "flipped": "flipped",
        "accuracy, chosen as A": "accuracy_as_a",
        "chosen as B": "accuracy_as_b",
        "mean of both": "accuracy_both",
    }
    lines = [
        {"judge": f"<b>{text(row['model'])}</b>"}
        | {label: interval(row, name, "{:.1f}", 100) for label, name in shown.items()}
        | {"pairs": number(row["n"]), "no verdict": number(row["without_verdict"])}
        for row in read_csv(path, POSITION_BIAS).to_dicts()
    ]
    return Table(lines, "position-bias") if lines else None


def scaled(share: float | None) -> str:
    return number(None if share is None else share * 100, "{:.1f}")


def held_out(path: Path) -> Table:
    """Models down, sources of their mix across."""
    rows = read_csv(path, HELD_OUT).to_dicts()
    sources = list(dict.fromkeys(row["source"] for row in rows))
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        found = {row["source"]: row for row in rows if row["model"] == model}
        cells = {s: with_n(found[s]) if s in found else NONE for s in sources}
        lines.append({"model": text(model), **{text(s): cell for s, cell in cells.items()}})
    return Table(lines, "held-out")


def with_n(row: Mapping[str, Any]) -> str:
    return interval(row, "accuracy", "{:.1f}", 100, "low", "high") + f'<span class="ci">n = {row["n"]:,}</span>'


def table2(path: Path, paper: Path) -> Table:
    """Policies down, measures across; the chosen iterations are starred and stand beside the paper's models."""
    lines = []
    rows = read_csv(path, TABLE2).to_dicts()
    chosen = {row["method"]: row["policy"] for row in reversed(rows) if row["chosen"]}  # of each method's first run
    for row in rows:
        star = " ★" if row["chosen"] and row["method"].startswith("iterative") else ""
        line = {"policy": f'<b>{text(row["policy"])}</b>{star}<span class="ci">{text(row["method"])}</span>'}
        for name, (label, form, scale) in MEASURES.items():
            if all(other[name] is None for other in rows):
                continue
            baseline = row["method"] == "SFT" and name in ("win_rate", "kl")
            line[label] = NONE if baseline else interval(row, name, form, scale)
        line["cut off, %"] = number(row["truncated"] * 100, "{:.1f}")
        where = PAPER_ROWS[row["method"]]
        printed = paper_value(*where, "LC AlpacaEval-2", paper) if chosen.get(row["method"]) == row["policy"] else None
        line["paper, %"] = f"<i>{number(printed, '{:.1f}')}</i>"
        lines.append(line)
    return Table(lines, "table2", heat=[label for label, _, _ in MEASURES.values() if label in lines[0]])


def table4(path: Path, paper: Path) -> Table:
    """Chosen policies of the online runs; beneath each its paired differences to the first run."""
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    rows = read_csv(path, TABLE4).to_dicts()
    shown = {name: look for name, look in MEASURES.items() if any(row[name] is not None for row in rows)}
    for row in rows:
        penalty = row["length_penalty"]
        where = paper_run(row["reward_model"], penalty)
        printed = where and paper_value("table4", where, "LC AlpacaEval-2", paper)
        lines.append(
            {"run": f"<b>{text(row['run'])}</b>", "reward model": text(row["reward_model"])}
            | {"length penalty": number(penalty, "{:g}"), "iteration": number(row["iteration"])}
            | {label: interval(row, name, form, scale) for name, (label, form, scale) in shown.items()}
            | {"paper, %": f"<i>{number(printed, '{:.1f}')}</i>"}
        )
        if row["run"] != row["compared_with"]:
            muted.append(len(lines))
            lines.append(
                {"run": f"{text(row['run'])} \N{MINUS SIGN} {text(row['compared_with'])}", "reward model": ""}
                | {"length penalty": "", "iteration": ""}
                | {
                    label: interval(row, f"{name}_difference", form.replace(":", ":+"), scale)
                    for name, (label, form, scale) in shown.items()
                }
                | {"paper, %": ""}
            )
    return Table(lines, "table4", ["reward model"], muted, [label for label, _, _ in shown.values()])


CHAT = {
    "lc_alpaca_eval": ("LC AlpacaEval-2", "{:.1f}"),
    "alpaca_eval": ("AlpacaEval-2", "{:.1f}"),
    "mt_bench": ("MT-Bench", "{:.2f}"),
    "arena_hard": ("Chat-Arena-Hard", "{:.1f}"),
}


def table2_chat(path: Path) -> Table:
    """The paper's rows and the study's policies down, benchmarks across, the paper's number beside each."""
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    for row in read_csv(path, TABLE2_CHAT).to_dicts():
        if row["policy"] is None:
            muted.append(len(lines))
        by = row["annotator"] and f"judged by {row['annotator']}"
        beneath = by or (row["policy"] if row["policy"] != row["model"] else row["method"]) or "not run"
        line = {"model": f'<b>{text(row["model"])}</b><span class="ci">{text(beneath)}</span>'}
        for name, (label, form) in CHAT.items():
            line[label] = chat_cell(row, name, form)
            line[f"{label}, paper"] = f"<i>{number(row[f'{name}_paper'], form)}</i>"
        lines.append(line)
    return Table(lines, "table2-chat", muted=muted, heat=[label for label, _ in CHAT.values()])


def chat_cell(row: Mapping[str, Any], name: str, form: str) -> str:
    """A score with its interval and what had no verdict; or, in small print, why there is none."""
    if row[name] is None:
        return f'<span class="ci">{text(row[f"{name}_note"])}</span>'
    missing = row[f"{name}_no_verdict"]
    return interval(row, name, form) + (f'<span class="ci">{missing:,} without verdict</span>' if missing else "")


def table4_chat(path: Path) -> Table:
    """Chosen policies of the online runs; beneath each its differences to the first run, and the paper's row."""
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    for row in read_csv(path, TABLE4_CHAT).to_dicts():
        facts = {"length penalty": number(row["length_penalty"], "{:g}"), "iteration": number(row["iteration"])}
        first = {"run": f"<b>{text(row['run'])}</b>", "reward model": text(row["reward_model"]), **facts}
        scores = {label: interval(row, name, form) for name, (label, form) in CHAT.items()}
        lines.append(first | scores | {"characters": number(row["characters"])})
        rest = dict.fromkeys(["reward model", *facts], "")
        if row["run"] != row["compared_with"]:
            muted.append(len(lines))
            name_ = f"{text(row['run'])} \N{MINUS SIGN} {text(row['compared_with'])}"
            gaps = {
                label: interval(row, f"{name}_difference", form.replace(":", ":+"))
                for name, (label, form) in CHAT.items()
            }
            lines.append({"run": name_, **rest, **gaps, "characters": ""})
        if any(row[f"{name}_paper"] is not None for name in CHAT):
            muted.append(len(lines))
            printed = {label: number(row[f"{name}_paper"], form) for name, (label, form) in CHAT.items()}
            lines.append({"run": "paper", **rest, **printed, "characters": ""})
    return Table(lines, "table4-chat", ["reward model"], muted, [label for label, _ in CHAT.values()])


def table5(path: Path) -> Table:
    """Sources down; beneath each the paper's row of the same data set, with the study's difference to it in percent."""
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    for row in read_csv(path, TABLE5).to_dicts():
        lines.append(source_line(f"<b>{text(row['source'])}</b>", row, lambda name, row=row: row[name]))
        if row["paper_pairs"] is not None:
            muted.append(len(lines))
            lines.append(
                source_line(f"paper: {text(row['paper'])}", {}, lambda name, row=row: row[f"paper_{name}"], row)
            )
    return Table(lines, "table5", ["completion", "annotator"], muted)


def source_line(
    name: str, words: Mapping[str, Any], value: Callable[[str], float], differences: Mapping[str, float] | None = None
) -> dict[str, str]:
    """A line of Table 5: numbers by the name of their column, each with its difference in percent if there is one."""

    def cell(column: str, form: str = "{:,.0f}") -> str:
        printed = number(value(column), form)
        if differences is None or differences[f"{column}_difference"] is None:
            return printed
        return f'{printed}<span class="ci">{number(differences[f"{column}_difference"], "{:+.1f}%")}</span>'

    return (
        {"source": name, "prompts": cell("prompts"), "prompt tokens": cell("prompt_tokens", "{:,.1f}")}
        | {"chosen tokens": cell("chosen_tokens", "{:,.1f}"), "rejected tokens": cell("rejected_tokens", "{:,.1f}")}
        | {key: text(words[key]) if words.get(key) else "" for key in ("completion", "annotator")}
        | {"pairs": cell("pairs")}
    )


def filter_report(path: Path, totals: Path) -> Table:
    """Sources down, reasons across: pairs, and their share of what was read; then all of it, and the paper's share."""
    rows = read_csv(path, FILTERS).to_dicts()
    reasons = sorted({row["reason"] for row in rows}, key=lambda reason: (reason != "kept", reason))
    lines = []
    for total in read_csv(totals, FILTER_TOTALS).to_dicts():
        source = total["source"]
        found = {row["reason"]: row for row in rows if row["source"] == source}
        printed = "" if total["paper_percent"] is None else f"; the paper: about {total['paper_percent']:.0f}%"
        line = {"source": f"<b>{text(source)}</b>", "read": number(total["read"])}
        line["dropped"] = f'{total["dropped"]:,}<span class="ci">{total["percent_dropped"]:.1f}%{printed}</span>'
        for reason in reasons:
            pairs = found[reason]["pairs"] if reason in found else None
            if source == "total":
                pairs = sum(row["pairs"] for row in rows if row["reason"] == reason)
            share = "" if pairs is None else f'<span class="ci">{100 * pairs / total["read"]:.1f}%</span>'
            line[text(reason.replace("_", " "))] = number(pairs) + share
        lines.append(line)
    return Table(lines, "filter-report")


def lengths(statistics: Path, gaps: Path, cuts: Path) -> Table:
    """Sources down: percentiles of prompt, responses and whole sequence, the gap of the responses, what limits cut."""
    found = {(row["source"], row["part"]): row for row in read_csv(statistics, LENGTHS).to_dicts()}
    limits = read_csv(cuts, LENGTH_CUTS).to_dicts()
    lines = []
    for gap in read_csv(gaps, LENGTH_GAPS).to_dicts():
        source = gap["source"]
        line = {"source": f"<b>{text(source)}</b>"}
        for part in ("prompt", "chosen", "rejected", "sequence"):
            row = found.get((source, part))
            cell = NONE if row is None else f"{row['p50']:,} · {row['p90']:,} · {row['p99']:,} · {row['longest']:,}"
            line[f"{part}: p50 · p90 · p99 · max"] = cell
        line["chosen longer"] = number(gap["percent_chosen_longer"], "{:.1f}%")
        line["mean gap"] = number(gap["mean_gap"], "{:+.1f}")
        for cut in limits:
            if cut["source"] == source:
                line[f"over {cut['max_tokens']:,}"] = number(cut["percent_pairs"], "{:.1f}%")
        lines.append(line)
    return Table(lines, "lengths")


def comparison(path: Path) -> Table:
    """The paper's numbers line by line, with the study's where it was run; what was not run is muted."""
    rows = read_csv(path, COMPARISON).to_dicts()
    lines = [
        {"table": text(row["table"].replace("table", "Table ")), "row": text(row["row"]), "column": text(row["column"])}
        | {"this study": NOT_RUN if is_missing(row) else interval(row, "reproduced", "{:,.4g}", 1, "low", "high")}
        | {"paper": f"<i>{number(row['paper'], '{:,g}')}</i>", "difference": number(row["difference"], "{:+,.4g}")}
        | {"verdict": verdict(row["verdict"]), "measured on": text(row["measured"])}
        for row in rows
    ]
    missing = [place for place, row in enumerate(rows) if is_missing(row)]
    return Table(lines, "comparison", ["row", "column", "verdict", "measured on"], missing)


def is_missing(row: Mapping[str, Any]) -> bool:
    return row["verdict"] == NOT_RUN


def verdict(word: str) -> str:
    if word == NOT_RUN:
        return word
    return f'<span class="badge {"good" if word == WITHIN else "unsure"}">{word}</span>'


def verdicts(path: Path) -> dict[str, int]:
    """How many of the paper's numbers lie within, outside, or were not run."""
    return dict(Counter(read_csv(path, COMPARISON)["verdict"].to_list()))


def monitors(path: Path) -> Table:
    """Iterations down, measures across."""
    rows = read_csv(path, MONITORS).to_dicts()
    lines = []
    for run, iteration in dict.fromkeys((row["run"], row["iteration"]) for row in rows):
        found = {row["measure"]: row for row in rows if (row["run"], row["iteration"]) == (run, iteration)}
        line = {"run": f"<b>{text(run)}</b>", "iteration": number(iteration)}
        for name, (label, form, scale) in MONITORED.items():
            line[label] = interval(found[name], "value", form, scale, "low", "high") if name in found else NONE
        lines.append(line)
    return Table(lines, "monitors")


def topics(path: Path) -> Table:
    """The topics of the prompts, the largest first."""
    lines = [
        {"topic": f"<b>{text(row['words'])}</b>", "prompts": number(row["prompts"])}
        | {"share": number(row["percent"], "{:.1f}%"), "most are from": text(row["main_source"])}
        | {"of the topic": number(row["main_source_percent"], "{:.0f}%"), "vectors": text(row["vectors"])}
        for row in read_csv(path, TOPICS).to_dicts()
    ]
    return Table(lines, "topics", ["most are from", "vectors"])


LENGTH_BIAS = {
    "correlation": "with characters",
    "tokens": "with tokens",
    "above_gold": "above gold",
    "partial": "given gold",
}


def length_bias(path: Path, columns: Sequence[str]) -> Table:
    """The numbers of Figure 3."""
    lines = [
        {"reward model": f"<b>{text(row['model'])}</b>"}
        | {label: interval(row, name, "{:+.3f}") for name, label in LENGTH_BIAS.items()}
        | {"prompts": number(row["n"]), "left out": number(row["left_out"]), "responses": number(row["responses"])}
        | {"paper": f"<i>{number(row['paper'], '{:+.2f}')}</i>"}
        for row in read_csv(path, columns).to_dicts()
    ]
    return Table(lines, "length-bias")


def calibration(path: Path) -> Table:
    """Models down: how far confidence and accuracy lie apart."""
    lines = [
        {"model": f"<b>{text(row['model'])}</b>"}
        | {"calibration error, %": interval(row, "error", "{:.1f}", 100)}
        | {"mean confidence, %": scaled(row["confidence"]), "accuracy, %": scaled(row["accuracy"])}
        | {"pairs": number(row["n"])}
        for row in read_csv(path, CALIBRATION).to_dicts()
    ]
    return Table(lines, "calibration")


def best_of_n(path: Path) -> Table:
    """Models and n down: what the best of n has."""
    lines = [
        {"reward model": f"<b>{text(row['model'])}</b>", "n": number(row["n"])}
        | {"KL at most": number(row["kl_bound"], "{:.2f}"), "reward": interval(row, "proxy", "{:.2f}")}
        | {"gold": interval(row, "gold", "{:.2f}"), "characters": interval(row, "characters", "{:.0f}")}
        for row in read_csv(path, BEST_OF_N).to_dicts()
    ]
    return Table(lines, "best-of-n")


def pairs(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What each iteration of each online run learnt from."""
    lines = [
        {"run": f"<b>{text(row['run'])}</b>", "iteration": text(row["iteration"])}
        | {label: number(row[name]) for name, label in PAIR_COUNTS.items()}
        for row in rows
    ]
    return Table(lines, "pairs")
