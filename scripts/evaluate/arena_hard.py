"""Arena-Hard v0.1: win rate in percent over the baseline (gpt-4-0314) in two games a question, answers swapped.

A clear win (>>) counts as three games, a draw as half a win. With a single opponent the Bradley-Terry win rate, which
the benchmark publishes, is this weighted mean. Games without a verdict are left out and counted. The bootstrap draws
questions, with both their games: they are two looks at the same answers.

    python -m scripts.evaluate.arena_hard --judgments results/demo/evaluation/arena_hard/judgments/gold/sft.parquet \\
        --output results/demo/evaluation/arena_hard/scores/gold/sft.json
"""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, estimate
from scripts.evaluate.scores import Args, Score, score_judgments

CLEAR_WIN = 3
FOR_A = {"A>>B": (1.0, CLEAR_WIN), "A>B": (1.0, 1), "A=B": (0.5, 1), "B>A": (0.0, 1), "B>>A": (0.0, CLEAR_WIN)}
"""Verdict -> (result for A, how often the game counts)."""


def main(args: Args) -> dict[str, Any]:
    return score_judgments(args, score)


def score(path: Path, seed: int) -> Score:
    rows = tables.read_table(path, tables.GAMES).to_pylist()
    questions = sorted({row["question_id"] for row in rows})
    place = {question: i for i, question in enumerate(questions)}
    won, played, games = np.zeros(len(questions)), np.zeros(len(questions)), []
    for number, row in enumerate(rows):
        if row["verdict"] is None:
            continue
        if row["verdict"] not in FOR_A:
            raise StudyError(f"{path}, row {number}: verdict '{row['verdict']}'; allowed: {', '.join(FOR_A)}.")
        result, weight = result_of(row["verdict"], row["game"])
        won[place[row["question_id"]]] += result * weight
        played[place[row["question_id"]]] += weight
        games.append(result)
    if not games:
        raise StudyError(f"{path}: not one of its {len(rows)} games has a verdict; nothing can be scored.")
    characters = {row["question_id"]: row["characters"] for row in rows}
    facts = {
        "n": len(questions),
        "games": len(rows),
        "no_verdict": len(rows) - len(games),
        "wins": sum(result == 1 for result in games),
        "draws": sum(result == 0.5 for result in games),
        "losses": sum(result == 0 for result in games),
        "avg_length": float(np.mean(list(characters.values()))),
    }
    return Score(facts, {"win_rate": win_rate(won, played, seed)})


def result_of(verdict: str, game: int) -> tuple[float, int]:
    """The policy's result, 1, 1/2 or 0, and how often it counts; the policy is B in game 1 and A in game 2."""
    for_a, weight = FOR_A[verdict]
    return (1 - for_a if game == 1 else for_a), weight


def win_rate(won: np.ndarray, played: np.ndarray, seed: int) -> Estimate:
    """Games won of games played, weighted, in percent; shapes (questions,)."""
    return estimate(lambda i: 100 * won[i].sum(axis=1) / np.maximum(played[i].sum(axis=1), 1), len(won), seed)


if __name__ == "__main__":
    command.run(main, Args)
