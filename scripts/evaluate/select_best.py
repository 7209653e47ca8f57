"""The best policy of a run: the iteration with the highest mean score on validation prompts (Algorithm 2, line 7).

    python -m scripts.evaluate.select_best \\
        --measures results/demo/evaluation/measures/iterative-iter{1,2,3}.parquet \\
        --policies results/demo/runs/iterative/iter{1,2,3}/policy --judge gold --output results/demo/runs/iterative/best
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.files import link_folder, publish
from scripts.common.models import check_model_folder


@dataclass(frozen=True)
class Args:
    measures: tuple[command.Input, ...]
    """Measures of each iteration's policy, first iteration first (table contract: measured answers, and `split`)."""
    policies: tuple[command.Input, ...]
    """Folders of the policies, in the same order."""
    output: command.Output
    """Folder of the best one, with selection.json."""
    judge: Literal["gold", "reward"] = "reward"
    """The column whose mean decides."""


def main(args: Args) -> dict[str, Any]:
    if len(args.measures) != len(args.policies):
        raise StudyError(
            f"--measures has {len(args.measures)} files and --policies {len(args.policies)} folders; "
            "give one of each for every iteration."
        )
    candidates = [
        {"iteration": number, "policy": str(policy), **mean_score(measures, args.judge)}
        for number, (measures, policy) in enumerate(zip(args.measures, args.policies, strict=True), start=1)
    ]
    best = best_iteration([candidate["mean"] for candidate in candidates])
    policy = args.policies[best]
    check_model_folder(policy)
    selection = {"judge": args.judge, "split": "validation", "best_iteration": best + 1, "candidates": candidates}
    with publish(args.output) as folder:
        link_folder(policy, folder)
        (folder / "selection.json").write_text(json.dumps(selection, indent=1))
    return {"best_iteration": best + 1, "policy": str(policy), "judge": args.judge, **mean_facts(candidates)}


def mean_score(measures: Path, judge: str) -> dict[str, float | int]:
    """Mean and number of a judge's scores on the validation split."""
    tables.open_table(measures, tables.MEASURES).close()
    scores = pq.read_table(measures, columns=[judge], filters=pc.field("split") == "validation")[judge]
    if len(scores) == 0 or scores.null_count:
        raise StudyError(
            f"{measures}: {len(scores)} validation answers, {scores.null_count} of them without {judge} score; "
            "every candidate needs scores to choose by."
        )
    return {"mean": pc.mean(scores).as_py(), "n": len(scores)}


def best_iteration(means: Sequence[float]) -> int:
    """Index of the highest mean; of equal ones the earliest, which has drifted least."""
    return max(range(len(means)), key=lambda i: (means[i], -i))


def mean_facts(candidates: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {f"mean_iter{candidate['iteration']}": candidate["mean"] for candidate in candidates}


if __name__ == "__main__":
    command.run(main, Args)
