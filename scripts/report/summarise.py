"""The closing words of `make demo`: the policies in a small table, and where the page lies.

python -m scripts.report.summarise --table results/demo/tables/table2_policies.csv
    --page results/demo/report/index.html
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input
from scripts.report.csv_tables import read_csv
from scripts.report.tabulate_policies import TABLE2

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = {  # heading, form, scale
    "gold": ("gold", "{:.2f}", 1),
    "reward": ("reward", "{:.2f}", 1),
    "win_rate": ("win %", "{:.1f}", 100),
    "lc_win_rate": ("LC win %", "{:.1f}", 100),
    "kl": ("KL", "{:.2f}", 1),
    "characters": ("chars", "{:.0f}", 1),
}


@dataclass(frozen=True)
class Args:
    table: Input
    """table2_policies.csv"""
    page: Input
    """The report."""


def main(args: Args) -> None:
    from rich.console import Console

    console = Console()
    console.print(summary(read_csv(args.table, TABLE2).to_dicts()))
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
