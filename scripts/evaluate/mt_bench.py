"""MT-Bench: the mean rating of 80 questions' two turns; also by turn and by category.

Replies without a rating are left out and counted. A question is the unit of the bootstrap, so that its two turns stay
together; its value is the mean of the ratings that it has, and the score is their mean, weighted by their number.

    python -m scripts.evaluate.mt_bench --judgments results/demo/evaluation/mt_bench/judgments/gold/sft.parquet \\
        --output results/demo/evaluation/mt_bench/scores/gold/sft.json
"""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, estimate
from scripts.evaluate.scores import Args, Score, score_judgments

TURNS = (1, 2)


def main(args: Args) -> dict[str, Any]:
    return score_judgments(args, score)


def score(path: Path, seed: int) -> Score:
    rows = tables.read_table(path, tables.RATINGS).to_pylist()
    questions = sorted({row["question_id"] for row in rows})
    place = {question: i for i, question in enumerate(questions)}
    ratings = np.full((len(questions), len(TURNS)), np.nan)
    for row in rows:
        ratings[place[row["question_id"]], row["turn"] - 1] = np.nan if row["rating"] is None else row["rating"]
    if not np.isfinite(ratings).any():
        raise StudyError(f"{path}: not one of its {len(rows)} judgments has a rating; nothing can be scored.")
    by_category: dict[str, list[float]] = {}
    for row in rows:
        if row["rating"] is not None:
            by_category.setdefault(row["category"] or "none", []).append(row["rating"])
    turns = {f"turn_{turn}": _mean(ratings[:, turn - 1]) for turn in TURNS}
    facts = {
        "n": len(questions),
        "judgments": len(rows),
        "no_verdict": sum(row["rating"] is None for row in rows),
        **turns,
        "by_category": {name: float(np.mean(values)) for name, values in sorted(by_category.items())},
    }
    return Score(facts, {"rating": mean_rating(ratings, seed)})


def mean_rating(ratings: np.ndarray, seed: int) -> Estimate:
    """The mean of all ratings that there are, questions resampled.

    Args:
        ratings: shape (questions, turns), nan where there is none.
    """
    known = np.isfinite(ratings)
    total, count = np.where(known, ratings, 0.0).sum(axis=1), known.sum(axis=1)
    return estimate(lambda i: total[i].sum(axis=1) / np.maximum(count[i].sum(axis=1), 1), len(ratings), seed)


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


if __name__ == "__main__":
    command.run(main, Args)
