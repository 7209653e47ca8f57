"""Scores of a benchmark as files: a JSON file for each policy, and the paired differences between policies.

A score file is flat: n, the measures, `{measure}_low` and `{measure}_high` (95% bootstrap interval by question), and
what is missing. A measure that can't be taken is null, and `{measure}_reason` says why.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import command
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.intervals import Estimate, estimate

DIFFERENCES = ["policy", "minus", "measure", "difference", "low", "high", "n"]


@dataclass(frozen=True)
class Score:
    """What a benchmark says of one policy."""

    facts: dict[str, Any]
    """n, counts of what is missing, and figures without an interval."""
    estimates: dict[str, Estimate]
    reasons: dict[str, str] = field(default_factory=dict)
    """Why a measure is null."""


@dataclass(frozen=True)
class Args:
    """Arguments of a benchmark whose score needs the judgments alone."""

    judgments: tuple[command.Input, ...]
    """Judgments of a policy's answers, a file a policy (table contract: Arena-Hard games or MT-Bench ratings)."""
    output: tuple[command.Output, ...]
    """JSON file with the score, one for each file of judgments."""
    differences: command.Output | None = None
    """CSV of the paired differences between the policies."""
    seed: int = 1
    """Draws the bootstrap resamples."""


def score_judgments(args: Args, score: Callable[[Path, int], Score]) -> dict[str, Any]:
    """Score every policy by `score(judgments, seed)`, and write what `write_scores` writes."""
    same_number(args.judgments, args.output, "judgments")
    scores = [score(path, args.seed) for path in args.judgments]
    write_scores(scores, args.output, args.differences)
    return {"policies": len(scores), "no verdict": sum(s.facts["no_verdict"] for s in scores)}


def mean_of_known(values: np.ndarray, seed: int) -> Estimate:
    """The mean over questions with a value; questions are resampled with their nan, so that policies stay paired.

    Args:
        values: one a question, nan where there was no verdict, shape (questions,).
    """

    def statistic(index: np.ndarray) -> np.ndarray:
        drawn = values[index]
        known = np.isfinite(drawn)
        return np.where(known, drawn, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)

    return estimate(statistic, len(values), seed)


def write_scores(scores: Sequence[Score], outputs: Sequence[Path], differences: Path | None) -> None:
    """Write a score file each, and all paired differences; a policy is named by its file.

    Raises:
        StudyError: the policies were judged on different numbers of questions, so that nothing can be paired.
    """
    for score, output in zip(scores, outputs, strict=True):
        with publish(output) as temporary:
            temporary.write_text(json.dumps(flat(score), indent=1) + "\n")
    if differences is not None:
        with publish(differences) as temporary:
            lines = [",".join(DIFFERENCES), *paired(scores, [output.stem for output in outputs])]
            temporary.write_text("\n".join(lines) + "\n")


def flat(score: Score) -> dict[str, Any]:
    found: dict[str, Any] = {"n": score.facts["n"]}
    for name, measure in score.estimates.items():
        low, high = measure.interval()
        found |= {name: measure.value, f"{name}_low": _number(low), f"{name}_high": _number(high)}
    for name, reason in score.reasons.items():
        found |= {name: None, f"{name}_reason": reason}
    return {**found, **score.facts}


def paired(scores: Sequence[Score], names: Sequence[str]) -> list[str]:
    """Lines of the table of differences: policy minus policy, on the same questions, where both have the measure."""
    lines = []
    for (one, a), (other, b) in permutations(zip(names, scores, strict=True), 2):
        for measure in a.estimates:
            if measure not in b.estimates:
                continue
            if a.estimates[measure].n != b.estimates[measure].n:
                counts = f"{a.estimates[measure].n} and {b.estimates[measure].n}"
                raise StudyError(f"'{one}' and '{other}' were judged on {counts} questions; judge both again.")
            difference = a.estimates[measure] - b.estimates[measure]
            low, high = (("" if math.isnan(end) else f"{end:.6f}") for end in difference.interval())
            lines.append(f"{one},{other},{measure},{difference.value:.6f},{low},{high},{difference.n}")
    return lines


def same_number(inputs: Sequence[Path], outputs: Sequence[Path], name: str) -> None:
    if len(inputs) != len(outputs):
        raise StudyError(f"--{name} names {len(inputs)} files and --output {len(outputs)}; give one for each.")


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
