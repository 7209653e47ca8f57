"""Which of the paper's findings appear, over several seeds: measured values, mean with its interval, verdict.

From the tables of finished studies that differ in their seed only.

    python -m scripts.report.findings --studies results/demo results/demo_seed2 results/demo_seed3
        --output benchmarks/results/findings.csv --markdown benchmarks/results/findings.md
"""

from dataclasses import dataclass
from pathlib import Path

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.report.claims import Evidence, Sources, across_seeds, gather
from scripts.report.csv_tables import write_csv
from scripts.report.markdown import markdown_table


@dataclass(frozen=True)
class Args:
    studies: tuple[Input, ...]
    """Folders of finished studies, results/{study}."""
    output: Output
    """CSV: a row for each finding, a column for each study."""
    markdown: Output
    """The same as a Markdown table."""


def main(args: Args) -> dict:
    evidence = {study.name: gather(sources(study)) for study in args.studies}
    rows = compare(evidence)
    columns = ["finding", "where", "quantity", *evidence, "mean", "low", "high", "verdict"]
    write_csv(rows, args.output, columns)
    with publish(args.markdown) as temporary:
        temporary.write_text(markdown(rows, columns, made_by(args)))
    return {"findings": len(rows), "studies": len(evidence)}


def sources(study: Path) -> Sources:
    """The tables of a study; all must be there."""
    folder = study / "tables"
    found = Sources(
        folder / "table1_reward_models.csv",
        folder / "table1_differences.csv",
        folder / "figure3_length_bias.csv",
        folder / "table2_policies.csv",
        folder / "table2_differences.csv",
        folder / "table3_academic.csv",
        folder / "table3_differences.csv",
        folder / "chat_differences.csv",
    )
    for path in vars(found).values():
        if not path.exists():
            raise StudyError(f"{path}: there is no such file; build the study first, with `snakemake {path}`.")
    return found


def compare(evidence: dict[str, list[Evidence]]) -> list[dict]:
    """A row for each finding and quantity."""
    first = next(iter(evidence.values()))
    rows = []
    for item in first:
        same = {
            study: [other for other in found if (other.finding, other.quantity) == (item.finding, item.quantity)]
            for study, found in evidence.items()
        }
        if lacking := [study for study, matches in same.items() if len(matches) != 1]:
            raise StudyError(f"study '{lacking[0]}' has no '{item.quantity}'; compare seeds of one study.")
        values = {study: matches[0].value for study, matches in same.items()}
        mean, low, high, verdict = across_seeds(list(values.values()))
        rows.append(
            {"finding": item.finding, "where": item.where, "quantity": item.quantity, **values}
            | {"mean": mean, "low": low, "high": high, "verdict": verdict}
        )
    return rows


def made_by(args: Args) -> str:
    """The command that makes these tables."""
    studies = " ".join(map(str, args.studies))
    return f"python -m scripts.report.findings --studies {studies} --output {args.output} --markdown {args.markdown}"


def markdown(rows: list[dict], columns: list[str], made_by: str) -> str:
    """A table for people, with the numbers to three digits, and the command that made it."""

    def cell(value) -> str:
        if isinstance(value, float):
            return "" if value != value else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        return str(value)

    lines = [
        "# Findings of the paper, as measured",
        "",
        "A quantity is positive where the finding shows. `low` to `high`: 95 % interval of the mean, over seeds.",
        "A finding holds where the interval lies above 0, and is within noise where only the mean does.",
        f"Made by `{made_by}`.",
        "",
        markdown_table([{column: cell(row[column]) for column in columns} for row in rows]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    command.run(main, Args)
