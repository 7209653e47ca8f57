"""AlpacaEval 2: win rate over the answers of GPT-4 (1106 preview) to 805 instructions, plain and length-controlled.

From annotations: a JSON file as AlpacaEval publishes them (also .json.gz), or the pipeline's own table. A preference
is 1 where the baseline's answer (output_1) is better, 2 where the model's is, or between; 0 is a draw, and null no
verdict, which is left out and counted. All rates are percentages; `avg_length` is the mean number of characters of the
model's outputs, cut to a whole number, as published. (Where a published file lacks some of the 805 annotations, the
leaderboard's length counts the outputs without annotation too, which only the file of outputs has.)

The length-controlled win rate needs both calibration files that are published with the benchmark (in the hub's data
set tatsu-lab/alpaca_eval: instruction_difficulty.csv, df_gamed.csv). Without them it is null, with the reason.

    python -m scripts.evaluate.alpaca_eval --annotations annotations.json --output score.json
    python -m scripts.evaluate.alpaca_eval --annotations annotations.json --output score.json \\
        --difficulty instruction_difficulty.csv --gamed df_gamed.csv

Several files are scored together; `--differences` then holds all paired differences between them.
"""

import gzip
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, estimate
from scripts.evaluate import length_control
from scripts.evaluate.length_control import Gamed, length_feature
from scripts.evaluate.scores import Score, mean_of_known, same_number, write_scores

REFITS = 400  # bootstrap resamples of the length-controlled win rate; each is a regression of its own
KEYS = {"output_1": str, "output_2": str, "preference": (int, float)}
ONE_EACH = ("generator_1", "generator_2", "annotator")  # of these, where a file has them, all rows have the same
GAMED_COLUMNS = ["preference", "std_delta_len", "instruction_difficulty"]


@dataclass(frozen=True)
class Args:
    annotations: tuple[command.Input, ...]
    """Annotations of a model: .json or .json.gz in AlpacaEval's format, or .parquet of the pipeline."""
    output: tuple[command.Output, ...]
    """JSON file with the score, one for each file of annotations."""
    difficulty: command.Input | None = None
    """instruction_difficulty.csv: the difficulty of each instruction."""
    gamed: command.Input | None = None
    """df_gamed.csv: judgments of the gamed baselines."""
    differences: command.Output | None = None
    """CSV of the paired differences between the files."""
    seed: int = 1
    """Draws the bootstrap resamples."""


@dataclass(frozen=True)
class Annotations:
    """Of one model; arrays with a value for each instruction, shape (n,)."""

    preference: np.ndarray  # for the model's answer, in [0, 1]; nan: the judge gave no verdict
    length: np.ndarray  # of the model's answers, characters
    baseline_length: np.ndarray
    question: np.ndarray  # positions in the benchmark's list of instructions


@dataclass(frozen=True)
class Calibration:
    difficulty: np.ndarray  # by instruction
    gamed: Gamed


def main(args: Args) -> dict[str, Any]:
    same_number(args.annotations, args.output, "annotations")
    calibration, reason = read_calibration(args.difficulty, args.gamed)
    scores = [score(read_annotations(path), calibration, reason, args.seed, path) for path in args.annotations]
    write_scores(scores, args.output, args.differences)
    if len(scores) > 1:
        return {"models": len(scores), "no verdict": sum(s.facts["no_verdict"] for s in scores)}
    return {
        **scores[0].facts,
        **{name: found.value for name, found in scores[0].estimates.items()},
        **scores[0].reasons,
    }


def score(found: Annotations, calibration: Calibration | None, reason: str, seed: int, path: Path) -> Score:
    """Win rates of one model, in percent."""
    judged = np.isfinite(found.preference)
    if not judged.any():
        raise StudyError(f"{path}: not one of its {len(judged)} rows has a preference; nothing can be scored.")
    rates = 100 * found.preference
    facts: dict[str, Any] = {
        "n": int(judged.sum()),
        "no_verdict": int((~judged).sum()),
        "standard_error": standard_error(rates[judged]),
        "avg_length": int(found.length.mean()),
    }
    estimates = {"win_rate": mean_of_known(rates, seed)}
    if calibration is None:
        return Score(facts, estimates, {"lc_win_rate": reason, "lc_standard_error": reason})
    if found.question.max() >= len(calibration.difficulty):
        raise StudyError(
            f"{path}: {len(judged)} rows, but the calibration knows {len(calibration.difficulty)} instructions; row i "
            "of the annotations must be instruction i of the benchmark."
        )
    estimates["lc_win_rate"], facts["lc_standard_error"] = length_controlled(found, calibration, seed)
    return Score(facts, estimates)


def length_controlled(found: Annotations, calibration: Calibration, seed: int) -> tuple[Estimate, float | None]:
    """The length-controlled win rate with its bootstrap, and the published standard error, in percent.

    The published error is that of the mean of the predictions: how much instructions differ, and not how well the
    regression is known. The bootstrap refits, so its interval holds both.
    """
    judged = np.isfinite(found.preference)
    length = length_feature(found.length, found.baseline_length)[judged]
    difficulty = calibration.difficulty[found.question][judged]
    preference, gamed = found.preference[judged], calibration.gamed
    first = length_control.fit(preference, length, difficulty, gamed)
    predicted = 100 * length_control.equal_length(first, difficulty)

    def refitted(row: np.ndarray) -> float:
        count = np.bincount(row, minlength=len(judged))[judged]
        again = length_control.refit(first, count, preference, length, difficulty, gamed)
        return 100 * float(np.average(length_control.equal_length(again, difficulty), weights=count))

    def statistic(index: np.ndarray) -> np.ndarray:
        return np.array([refitted(row) for row in index])

    resampled = estimate(statistic, len(judged), seed, REFITS)
    return Estimate(float(predicted.mean()), resampled.replicates, resampled.n), standard_error(predicted)


def standard_error(values: np.ndarray) -> float | None:
    """Of the mean; a single value has none."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


# --- reading ----------------------------------------------------------------------------------------------------------


def read_annotations(path: Path) -> Annotations:
    """Annotations of one model.

    Raises:
        StudyError: the file can't be read, or a row lacks a key or holds what can't be; names file, row and key.
    """
    if path.suffix == ".parquet":
        rows = sorted(tables.read_table(path, tables.ANNOTATIONS).to_pylist(), key=lambda row: int(row["question_id"]))
        questions = [int(row["question_id"]) for row in rows]
    else:
        rows = _checked(path, _json(path))
        questions = list(range(len(rows)))
    if not rows:
        raise StudyError(f"{path}: holds no annotations.")
    raw = np.array([np.nan if row["preference"] is None else row["preference"] for row in rows], dtype=float)
    return Annotations(
        preference=np.where(raw == 0, 0.5, raw - 1),
        length=np.array([len(row["output_2"]) for row in rows]),
        baseline_length=np.array([len(row["output_1"]) for row in rows]),
        question=np.array(questions),
    )


def _json(path: Path) -> Any:
    try:
        content = path.read_bytes()
        return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (OSError, EOFError, zlib.error) as error:
        raise StudyError(f"{path}: can't be read ({error}). Copy or download it again.") from None
    except ValueError as error:  # JSON and UTF-8 both
        raise StudyError(f"{path}: is no JSON ({error}). Expected a list of annotations.") from None


def _checked(path: Path, rows: Any) -> list[dict[str, Any]]:
    """Rows that can be scored, or what is wrong with the first that can't."""
    if not isinstance(rows, list):
        raise StudyError(f"{path}: expected a list of annotations, found {_kind(rows)}.")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise StudyError(f"{path}, row {number}: expected an object with {', '.join(KEYS)}, found {_kind(row)}.")
        for key, kind in KEYS.items():
            where = f"{path}, row {number}, key '{key}'"
            if key not in row:
                raise StudyError(f"{where}: is missing; the row has {', '.join(row) or 'no keys'}.")
            if row[key] is None and key == "preference":  # the judge gave no verdict
                continue
            if not isinstance(row[key], kind) or isinstance(row[key], bool):
                expected = "text" if kind is str else "a number"
                raise StudyError(f"{where}: expected {expected}, found {_kind(row[key])}.")
        for key in ONE_EACH:
            if row.get(key) != rows[0].get(key):
                raise StudyError(
                    f"{path}, row {number}, key '{key}': {row.get(key)!r}, and in row 0 {rows[0].get(key)!r}. A file "
                    "holds one annotator's preferences for one model; split it."
                )
        value = row["preference"]
        no_verdict = value is None or (isinstance(value, float) and math.isnan(value))
        if not (no_verdict or value == 0 or 1 <= value <= 2):
            raise StudyError(
                f"{path}, row {number}, key 'preference': {value} is neither between 1 (the baseline's answer is "
                "better) and 2 (the model's is) nor 0 (a draw)."
            )
    return rows


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names[type(value)]


def read_calibration(difficulty: Path | None, gamed: Path | None) -> tuple[Calibration | None, str]:
    """Both calibrations; or none, and which file is absent."""
    named = {"instruction_difficulty.csv (--difficulty)": difficulty, "df_gamed.csv (--gamed)": gamed}
    absent = [name for name, path in named.items() if path is None]
    if difficulty is None or gamed is None:
        return None, f"calibration absent: {' and '.join(absent)}, from the hub's data set tatsu-lab/alpaca_eval"
    table = _numbers(gamed, GAMED_COLUMNS)
    positions = _numbers(difficulty, None)
    order = np.argsort(positions[:, 0])
    if not np.array_equal(positions[order, 0], np.arange(len(positions))):
        raise StudyError(f"{difficulty}: its first column must number the instructions 0 .. {len(positions) - 1}.")
    return Calibration(positions[order, 1], Gamed(table[:, 0], table[:, 1], table[:, 2])), ""


def _numbers(path: Path, columns: Sequence[str] | None) -> np.ndarray:
    """Columns of a CSV or Parquet file as numbers, (rows, columns); without names the first two."""
    import polars as pl

    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema_length=None)
        chosen = frame.select(columns if columns else frame.columns[:2])
        values = chosen.cast(pl.Float64).to_numpy()
    except (pl.exceptions.PolarsError, OSError) as error:
        wanted = ", ".join(columns) if columns else "the instruction's number, its difficulty"
        raise StudyError(f"{path}: not a table with the columns {wanted} ({str(error).splitlines()[0]}).") from None
    if values.shape[1] < 2 or not len(values) or not np.isfinite(values).all():
        raise StudyError(f"{path}: expected numbers in every row of {', '.join(chosen.columns)}.")
    return values


if __name__ == "__main__":
    command.run(main, Args)
