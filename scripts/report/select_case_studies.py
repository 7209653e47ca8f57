"""Figures 10-12: prompts on which an offline and an online policy answer most differently, side by side (Appendix C).

The paper shows three prompts on which the online policy does better. Here the judge's scores choose, in both
directions: where the online policy gains most, and where it loses most.

    python -m scripts.report.select_case_studies --prompts results/demo/data/prompts/held_out.parquet
        --offline results/demo/evaluation/measures/offline-iter1.parquet --best results/demo/runs/iterative/best
        --online results/demo/evaluation/measures/iterative-iter{1,2,3}.parquet --judge gold
        --output results/demo/evaluation/case_studies.parquet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.report.tabulate_policies import chosen_iteration, test_answers

EACH = 3
QUERY = Path(__file__).parent / "sql" / "case_studies.sql"


@dataclass(frozen=True)
class Args:
    prompts: Input
    """Held-out prompts (table contract: prompts)."""
    offline: Input
    """Measured answers of the offline policy."""
    online: tuple[Input, ...]
    """Measured answers of an online run, first iteration first."""
    best: Input
    """The run's chosen policy; its selection.json names the iteration."""
    output: Output
    """Case studies (table contract: case studies), the online policy's gains first."""
    judge: Literal["gold", "reward"] = "reward"
    """Whose scores tell the answers apart."""


def main(args: Args) -> dict:
    import duckdb

    iteration = chosen_iteration(args.best)
    if not 1 <= iteration <= len(args.online):
        raise StudyError(f"{args.best}: chose iteration {iteration}, and --online has {len(args.online)} files.")
    answers = {"offline": args.offline, "online": args.online[iteration - 1]}
    with duckdb.connect() as connection:
        for name, path in answers.items():
            table = test_answers(path).select(["prompt_id", "response", args.judge])
            connection.register(name, table.rename_columns(["prompt_id", "response", "score"]))
        connection.register("prompts", tables.read_table(args.prompts, tables.PROMPTS))
        found = connection.sql(QUERY.read_text(), params={"each": EACH}).to_arrow_table()
    tables.write_table(found.cast(tables.CASE_STUDIES.columns), args.output, tables.CASE_STUDIES)
    return {"case_studies": found.num_rows, "online_iteration": iteration}


if __name__ == "__main__":
    command.run(main, Args)
