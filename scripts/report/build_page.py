"""The study on one page: what was run, what was found, all tables and figures, in one file without external requests.

From the study's tables and figures, tables of online pairs, and the manifests of all its artifacts. Tables and figures
that a study does not have are left out, with all they would have said.

    python -m scripts.report.build_page --study demo --seed 1 --judge gold --folder results/demo
        --table5-preference-data results/demo/tables/table5_preference_data.csv --filter-report ... --filter-totals ...
        --length-statistics ... --length-gaps ... --length-cuts ... --preference-lengths ...preference_lengths.svg ...
        --table1 ...table1_reward_models.csv --table1-differences ... --held-out ... --figure3 ... --figure3-table ...
        --figure6-7 ... --table2 ... --table4 ... --table2-differences ... --figure8 ... --drift ... --monitors ...
        --table3 ... --table6 ... --pairs results/demo/runs/iterative/iter1/pairs.parquet ... --case-studies ...
        --output results/demo/report/index.html
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.files import publish
from scripts.report import page_academic, page_facts, page_pairs, page_state, page_tables
from scripts.report.captions import captions
from scripts.report.claims import DOES_NOT_APPEAR, HOLDS, WITHIN_NOISE, Evidence, Sources, gather
from scripts.report.csv_tables import read_csv
from scripts.report.paper import PAPER
from scripts.report.plot_length_bias import COLUMNS as FIGURE3
from scripts.report.tabulate_policies import TABLE2

TEMPLATE = Path(__file__).with_name("page.html.jinja")
BROWSER = Path(__file__).with_name("page_pairs.js")


@dataclass(frozen=True)
class Args:
    study: str
    """The study's name."""
    folder: Path
    """The study's folder; the manifests under it say what was run, how long it took, and with what."""
    table5_preference_data: Input
    filter_report: Input
    filter_totals: Input
    length_statistics: Input
    length_gaps: Input
    length_cuts: Input
    preference_lengths: Input
    preference_margins: Input
    filtered_pairs: Input
    """Tables and figures of the preference data, named after their files."""
    output: Output
    """The page."""
    seed: int = 1
    """The study's seed."""
    judge: str = "reward"
    """Whose scores decided wins: gold or reward."""
    figure5: Input | None = None
    """figure5_prompts.svg"""
    figure5_topics: Input | None = None
    """figure5_topics.csv"""
    table1: Input | None = None
    """table1_reward_models.csv"""
    table1_subsets: Input | None = None
    """table1_subsets.csv"""
    position_bias: Input | None = None
    """position_bias.csv"""
    table1_differences: Input | None = None
    """table1_differences.csv"""
    held_out: Input | None = None
    """reward_models_held_out.csv"""
    figure3: Input | None = None
    """figure3_length_bias.svg"""
    figure3_table: Input | None = None
    """figure3_length_bias.csv"""
    figure6_7: Input | None = None
    """figure6_7_training.svg"""
    calibration: Input | None = None
    """calibration.csv"""
    calibration_figure: Input | None = None
    """calibration.svg"""
    agreement_figure: Input | None = None
    """agreement.svg"""
    best_of_n: Input | None = None
    """best_of_n.csv"""
    best_of_n_figure: Input | None = None
    """best_of_n.svg"""
    table2: Input | None = None
    """table2_policies.csv"""
    table4: Input | None = None
    """table4_length_penalty.csv"""
    table3: Input | None = None
    """table3_academic.csv"""
    table3_differences: Input | None = None
    """table3_differences.csv"""
    table4_academic: Input | None = None
    """table4_academic.csv"""
    table6: Input | None = None
    """table6_benchmarks.csv"""
    table2_differences: Input | None = None
    """table2_differences.csv"""
    table2_chat: Input | None = None
    """table2_chat.csv"""
    table4_chat: Input | None = None
    """table4_chat.csv"""
    chat_differences: Input | None = None
    """chat_differences.csv"""
    figure8: Input | None = None
    """figure8_iterations.svg"""
    drift: Input | None = None
    """drift.svg"""
    monitors: Input | None = None
    """monitors.csv"""
    pairs: tuple[Input, ...] = ()
    """Online pairs of all runs and iterations, in that order."""
    comparison: Input | None = None
    """compare_to_paper.csv"""
    figure9: Input | None = None
    """figure9_evaluation.svg"""
    case_studies: Input | None = None
    """case_studies.parquet"""
    paper: Input = PAPER
    """The paper's numbers."""
    template: Input = TEMPLATE
    """The page's frame and style."""


def main(args: Args) -> dict:
    import jinja2

    academic = (args.table3, args.table3_differences)
    policies = (args.table2, args.table2_differences)
    evidence = gather(
        Sources(args.table1, args.table1_differences, args.figure3_table, *policies, *academic, args.chat_differences)
    )
    made = page_facts.manifests_in(args.folder)
    manifests, artifacts = page_facts.jobs(made), page_state.artifacts(made)
    seconds = sum(row["seconds"] for row in artifacts)
    test_prompts = read_csv(args.table2, TABLE2)["n"][0] if args.table2 else None
    not_run = page_academic.not_run(args.table3) if args.table3 else []
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(args.template.read_text()).render(
        study=args.study,
        seed=args.seed,
        judge=args.judge,
        lead=lead(args.table2, args.judge),
        tiles=tiles(args.table2),
        captions=captions(args.judge, test_prompts, not_run),
        evidence=[describe(item) for item in evidence],
        counts={
            verdict: sum(e.verdict == verdict for e in evidence) for verdict in (HOLDS, WITHIN_NOISE, DOES_NOT_APPEAR)
        },
        table1=args.table1 and page_tables.table1(args.table1),
        table1_subsets=args.table1_subsets and page_tables.table1_subsets(args.table1_subsets),
        position_bias=args.position_bias and page_tables.position_bias(args.position_bias),
        held_out=args.held_out and page_tables.held_out(args.held_out),
        figure3=args.figure3 and inline_svg(args.figure3),
        length_bias=args.figure3_table and page_tables.length_bias(args.figure3_table, FIGURE3),
        figure6_7=args.figure6_7 and inline_svg(args.figure6_7),
        calibration=args.calibration and page_tables.calibration(args.calibration),
        calibration_figure=args.calibration_figure and inline_svg(args.calibration_figure),
        agreement=args.agreement_figure and inline_svg(args.agreement_figure),
        best_of_n=args.best_of_n and page_tables.best_of_n(args.best_of_n),
        best_of_n_figure=args.best_of_n_figure and inline_svg(args.best_of_n_figure),
        table2=args.table2 and page_tables.table2(args.table2, args.paper),
        table3=args.table3 and page_academic.table3(args.table3),
        table4=args.table4 and page_tables.table4(args.table4, args.paper),
        table4_academic=args.table4_academic and page_academic.table4(args.table4_academic),
        table6=args.table6 and page_academic.table6(args.table6),
        table2_chat=args.table2_chat and page_tables.table2_chat(args.table2_chat),
        table4_chat=args.table4_chat and page_tables.table4_chat(args.table4_chat),
        figure8=args.figure8 and inline_svg(args.figure8),
        drift=args.drift and inline_svg(args.drift),
        monitors=args.monitors and page_tables.monitors(args.monitors),
        table5=page_tables.table5(args.table5_preference_data),
        filter_report=page_tables.filter_report(args.filter_report, args.filter_totals),
        filtered_pairs=inline_svg(args.filtered_pairs),
        lengths=page_tables.lengths(args.length_statistics, args.length_gaps, args.length_cuts),
        preference_lengths=inline_svg(args.preference_lengths),
        preference_margins=inline_svg(args.preference_margins),
        figure5=args.figure5 and inline_svg(args.figure5),
        topics=args.figure5_topics and page_tables.topics(args.figure5_topics),
        pair_table=args.pairs and page_tables.pairs(page_facts.pair_counts(args.pairs)),
        comparison=args.comparison and page_tables.comparison(args.comparison),
        compared=args.comparison and page_tables.verdicts(args.comparison),
        figure9=args.figure9 and inline_svg(args.figure9),
        browser=pair_browser(args.pairs, args.seed),
        cases=args.case_studies and tables.read_table(args.case_studies, tables.CASE_STUDIES).to_pylist(),
        state=page_state.overview(artifacts),
        artifacts=len(artifacts),
        stale=sum(row["state"] != page_state.CURRENT for row in artifacts),
        judging=page_state.judging(manifests),
        dollars=page_state.dollars(manifests),
        gpu_hours=page_state.gpu_hours(artifacts),
        total=page_facts.duration(seconds),
        jobs=len(manifests),
        generated=page_facts.generated(manifests),
        hardware=page_facts.hardware(manifests),
        versions=page_facts.versions(manifests),
        code=page_facts.code(manifests),
    )
    with publish(args.output) as temporary:
        temporary.write_text(page)
    return {"findings": len(evidence), "bytes": len(page.encode()), "seconds_of_all_jobs": seconds}


def describe(evidence: Evidence) -> dict[str, Any]:
    """A finding in plain words: the claim, the verdict, the measured quantity with its interval."""
    form = "{:+.0f}" if abs(evidence.value) >= 10 else "{:+.3f}"
    quantity = evidence.quantity.replace(" - ", " \N{MINUS SIGN} ")
    measured = f"{quantity}: {page_tables.number(evidence.value, form)}"
    if evidence.low is not None and evidence.high is not None:
        measured += f" ({page_tables.number(evidence.low, form)} to {page_tables.number(evidence.high, form)})"
    return {
        "claim": evidence.finding,
        "where": evidence.where,
        "measured": f"{measured}, {evidence.detail}" if evidence.detail else measured,
        "verdict": evidence.verdict,
        "kind": {HOLDS: "good", WITHIN_NOISE: "unsure", DOES_NOT_APPEAR: "bad"}[evidence.verdict],
    }


def chosen_policies(table2: Path) -> dict[str, dict[str, Any]]:
    """Method -> the chosen policy of the first run of that method, in the paper's order of methods."""
    rows = [row for row in read_csv(table2, TABLE2).to_dicts() if row["chosen"]]
    found = {method: next((row for row in rows if row["method"] == method), None) for method in page_tables.PAPER_ROWS}
    return {method: row for method, row in found.items() if row}


def lead(table2: Path | None, judge: str) -> str:
    """The result in two sentences, as measured."""
    if table2 is None:
        return ""
    chosen = chosen_policies(table2)
    measure, unit = ("gold", "gold reward") if judge == "gold" else ("reward", "reward")
    sentences = []
    if "iterative DPO" in chosen:
        row, start = chosen["iterative DPO"], page_tables.number(chosen["SFT"][measure], "{:.2f}")
        sentences.append(
            f"Iterative DPO took the mean {unit} from {start} (SFT) to {page_tables.number(row[measure], '{:.2f}')} "
            f"(iteration {row['iteration']}) and wins {row['win_rate']:.0%} of {row['n']} test prompts against SFT."
        )
    if "offline DPO" in chosen:
        row = chosen["offline DPO"]
        mean = page_tables.number(row[measure], "{:.2f}")
        sentences.append(f"Offline DPO, trained once on fixed pairs, comes to {mean} and {row['win_rate']:.0%}.")
    return " ".join(sentences)


def tiles(table2: Path | None) -> list[dict[str, str]]:
    """Key numbers of the policies that validation chose."""
    if table2 is None:
        return []
    found = []
    for method, row in chosen_policies(table2).items():
        name, (label, form, _) = next(
            (name, look) for name, look in page_tables.MEASURES.items() if row[name] is not None
        )
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        interval = "" if low is None else f"{page_tables.number(low, form)} to {page_tables.number(high, form)}"
        wins = "" if method == "SFT" else f"wins {row['win_rate']:.0%}, "
        found.append(
            {"method": method, "label": label, "value": page_tables.number(row[name], form), "interval": interval}
            | {"more": f"{wins}{row['characters']:.0f} characters"}
        )
    return found


def pair_browser(paths: Sequence[Path], seed: int) -> dict[str, Any] | None:
    """What the pair browser needs: packed pairs, how many of how many, its script, and the digest that allows it."""
    if not paths:
        return None
    rows, script = page_pairs.browsed(paths, seed), BROWSER.read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    total = sum(tables.count_rows(path, tables.ONLINE_PAIRS) for path in paths)
    return {
        "data": page_pairs.packed(rows),
        "pairs": len(rows),
        "total": total,
        "script": script,
        "digest": digest,
    }


def inline_svg(path: Path) -> str:
    """The drawing itself, scalable, with ids of its own so that several fit into one page."""
    from markupsafe import Markup

    drawing = path.read_text()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt"', _at_most_larger, drawing, count=1)
    drawing = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawing, count=1)
    prefix = re.sub(r"\W", "-", path.stem)
    drawing = re.sub(r'\bid="', f'id="{prefix}-', drawing)
    drawing = re.sub(r"url\(#", f"url(#{prefix}-", drawing)
    return Markup(re.sub(r'href="#', f'href="#{prefix}-', drawing))


def _at_most_larger(opening: re.Match[str]) -> str:
    """A drawing fills the page's width, but one of few panels is not blown up."""
    return f'{opening[1]} style="max-width: {1.6 * float(opening[2]):.0f}pt"'


if __name__ == "__main__":
    command.run(main, Args)
