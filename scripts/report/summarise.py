"""The closing words of `make demo` and `make real`: what was measured in a small table, and where the page lies.

    python -m scripts.report.summarise --policies results/demo/tables/table2_policies.csv \\
        --page results/demo/report/index.html
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input
from scripts.report.csv_tables import read_csv
from scripts.report.tabulate_held_out import ALL
from scripts.report.tabulate_held_out import COLUMNS as HELD_OUT
from scripts.report.tabulate_policies import TABLE2

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = {  # heading, form, scale
    "gold": ("gold", "{:.2f}", 1),
    "reward": ("reward", "{:.2f}", 1),
    "win_rate": ("win %", "{:.1f}", 100),
    "kl": ("KL", "{:.2f}", 1),
    "characters": ("chars", "{:.0f}", 1),
}


@dataclass(frozen=True)
class Args:
    page: Input
    """The report."""
    policies: Input | None = None
    """table2_policies.csv, where the study has policies."""
    held_out: Input | None = None
    """reward_models_held_out.csv, where it stops at reward models."""


def main(args: Args) -> None:
    from rich.console import Console

    console = Console()
    if args.policies:
        console.print(summary(read_csv(args.policies, TABLE2).to_dicts()))
    if args.held_out:
        for row in read_csv(args.held_out, HELD_OUT).to_dicts():
            if row["source"] == ALL:
                interval = f"95% interval {row['low']:.1%} to {row['high']:.1%}"
                console.print(
                    f"Reward model {row['model']}: {row['accuracy']:.1%} of {row['n']} held-out pairs, {interval}",
                    highlight=False,
                )
    console.print(f"All tables and figures: {args.page}", soft_wrap=True, highlight=False)


def summary(rows: list[dict]) -> "Table":
    """A line a policy, 80 columns wide: the gold reward, or the reward where there is no gold.

    The chosen iterations are starred; ± is half of the 95% interval's width.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        title=f"Policies on {rows[0]['n']} test prompts",
        caption="* chosen on the validation prompts; ± half of the 95% interval",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("policy", no_wrap=True)
    left_out = "gold" if rows[0]["gold"] is None else "reward"
    shown = {name: look for name, look in SHOWN.items() if name != left_out}
    for heading, _, _ in shown.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        star = " *" if row["chosen"] and row["method"].startswith("iterative") else ""
        table.add_row(
            f"{row['policy']}{star}", *(cell(row, name, form, scale) for name, (_, form, scale) in shown.items())
        )
    return table


def cell(row: dict, name: str, form: str, scale: float) -> str:
    """A number with half the width of its interval, where it has one."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    text = form.format(row[name] * scale)
    return text if low is None or low == high else f"{text} ±{form.format((high - low) / 2 * scale)}"


if __name__ == "__main__":
    command.run(main, Args)
