"""AlpacaEval's scores on hand-made annotations, on GPT-4's own with the published figures, and on damaged files."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.evaluate import alpaca_eval
from scripts.evaluate.alpaca_eval import Args

REAL = Path(os.environ.get("DATA", Path(__file__).parents[4] / "shared/data")) / "alpaca_eval"


def annotation(preference, output_2="four", output_1="sixteen"):
    return {"instruction": "?", "output_1": output_1, "output_2": output_2, "preference": preference}


def written(path: Path, rows) -> Path:
    content = json.dumps(rows)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def scored(path: Path, **flags) -> dict:
    output = path.with_name("score.json")
    alpaca_eval.main(Args(annotations=(path,), output=(output,), **flags))
    return json.loads(output.read_text())


def calibration(folder: Path, n: int) -> dict[str, Path]:
    """As published: a difficulty for each instruction, judgments of two gamed baselines on each."""
    draw = np.random.default_rng(1)
    difficulty, length = draw.normal(0, 0.5, n), draw.normal(0, 1.2, 2 * n)
    files = {"difficulty": folder / "instruction_difficulty.csv", "gamed": folder / "df_gamed.csv"}
    pl.DataFrame({"index": range(n), "instruction_difficulty": difficulty}).write_csv(files["difficulty"])
    pl.DataFrame(
        {"model": ["brief"] * n + ["wordy"] * n, "index": [*range(n)] * 2, "std_delta_len": length}
        | {"preference": 1 / (1 + np.exp(1.5 * np.tanh(length))), "instruction_difficulty": np.tile(difficulty, 2)}
        | {"not_gamed_baseline": [False] * (2 * n)}
    ).write_csv(files["gamed"])
    return files


def test_known_answers(tmp_path):
    """A win, a loss, a draw as 0 and as 1.5, and a preference in between."""
    rows = [annotation(2), annotation(1), annotation(0), annotation(1.5), annotation(1.25, output_2="something longer")]
    score = scored(written(tmp_path / "a.json", rows))
    assert score["n"] == 5
    assert score["win_rate"] == pytest.approx(100 * (1 + 0 + 0.5 + 0.5 + 0.25) / 5)
    assert score["standard_error"] == pytest.approx(100 * np.std([1, 0, 0.5, 0.5, 0.25], ddof=1) / np.sqrt(5))
    assert score["avg_length"] == (4 * 4 + 16) // 5
    assert score["win_rate_low"] <= score["win_rate"] <= score["win_rate_high"]


@pytest.mark.parametrize(("preference", "rate"), [(2, 100.0), (1, 0.0), (0, 50.0)])
def test_all_wins_all_losses_all_draws(tmp_path, preference, rate):
    score = scored(written(tmp_path / "a.json", [annotation(preference)] * 7))
    assert (score["win_rate"], score["standard_error"]) == (rate, 0.0)
    assert (score["win_rate_low"], score["win_rate_high"]) == (rate, rate)


@pytest.mark.parametrize("absent", [("difficulty",), ("gamed",), ("difficulty", "gamed")])
def test_without_a_calibration_the_score_is_null_and_says_why(tmp_path, absent):
    flags = {name: path for name, path in calibration(tmp_path, 3).items() if name not in absent}
    score = scored(written(tmp_path / "a.json.gz", [annotation(2)] * 3), **flags)
    names = {"difficulty": "instruction_difficulty.csv", "gamed": "df_gamed.csv"}
    for measure in ("lc_win_rate", "lc_standard_error"):
        assert score[measure] is None
        for name, file in names.items():
            assert (file in score[f"{measure}_reason"]) == (name in absent)


def test_with_calibrations_length_is_controlled_for(tmp_path):
    """A judge who likes length alone: the long answers win, and at equal length it is even."""
    draw = np.random.default_rng(3)
    extra = draw.integers(0, 200, 120)
    d = -extra / np.std(extra, ddof=1)
    preference = 1 + 1 / (1 + np.exp(1.5 * np.tanh(d)))
    rows = [annotation(float(p), "x" * (50 + e), "y" * 50) for p, e in zip(preference, extra.tolist(), strict=True)]
    score = scored(written(tmp_path / "a.json", rows), **calibration(tmp_path, 120))
    assert score["win_rate"] > 75
    assert score["lc_win_rate"] == pytest.approx(50, abs=3)
    assert score["lc_win_rate_low"] <= score["lc_win_rate"] <= score["lc_win_rate_high"]
    assert score["lc_standard_error"] >= 0


def test_annotations_that_the_calibration_does_not_cover(tmp_path):
    with pytest.raises(StudyError, match=r"a\.json: 4 rows, but the calibration knows 3 instructions"):
        scored(written(tmp_path / "a.json", [annotation(2)] * 4), **calibration(tmp_path, 3))


def test_missing_verdicts_of_the_pipeline_are_counted_and_not_guessed(tmp_path):
    rows = [
        {"question_id": str(i), "instruction": "?", "output_1": "a", "generator_1": "base", "output_2": "bb"}
        | {"generator_2": "sft", "annotator": "judge", "preference": preference, "said": None}
        for i, preference in enumerate([2.0, None, 1.0, 2.0])
    ]
    tables.write_table(rows, tmp_path / "sft.parquet", tables.ANNOTATIONS)
    score = scored(tmp_path / "sft.parquet")
    assert (score["n"], score["no_verdict"]) == (3, 1)
    assert score["win_rate"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_published_file_without_some_verdicts(tmp_path, nothing):
    """As published: such rows count in no rate; the length is over all outputs."""
    rows = [annotation(2), annotation(nothing, output_2="something"), annotation(1)]
    score = scored(written(tmp_path / "a.json", rows))
    assert (score["n"], score["no_verdict"], score["avg_length"]) == (2, 1, (4 + 9 + 4) // 3)
    assert score["win_rate"] == 50
    lengths = [annotation(p, "x" * (9 + i)) for i, p in enumerate([2, 1, nothing, 1.5, 1.2, 1.9, 1, 2])]
    controlled = scored(written(tmp_path / "b.json", lengths), **calibration(tmp_path, 8))
    assert controlled["n"] == 7
    assert 0 <= controlled["lc_win_rate"] <= 100


def test_only_outputs_and_preference_are_needed_and_the_rest_is_left_alone(tmp_path):
    """Empty and non-Latin answers; equal questions; keys that a harness adds."""
    row = {"output_1": "", "output_2": "\N{GRINNING FACE}\u00e9\u4e2d", "preference": 1.0000001}
    score = scored(written(tmp_path / "a.json.gz", [row, {**row, "glm_preference": 0.4, "raw_completion": {"a": [1]}}]))
    assert (score["n"], score["avg_length"]) == (2, 3)
    assert score["win_rate"] == pytest.approx(1e-5)


def test_differences_are_paired(tmp_path):
    draw = np.random.default_rng(4)
    rows = [annotation(float(p)) for p in 1 + draw.integers(0, 2, 50)]
    files = [written(tmp_path / name, rows) for name in ("one.json", "same.json")]
    outputs = tuple(tmp_path / "scores" / path.name for path in files)
    table = tmp_path / "differences.csv"
    alpaca_eval.main(Args(annotations=tuple(files), output=outputs, differences=table))
    found = pl.read_csv(table).to_dicts()
    assert [(row["policy"], row["minus"]) for row in found] == [("one", "same"), ("same", "one")]
    assert all((row["difference"], row["low"], row["high"], row["n"]) == (0, 0, 0, 50) for row in found)


BAD = {
    "no list": ({"a": 1}, "expected a list of annotations, found an object"),
    "empty": ([], "holds no annotations"),
    "row is no object": ([annotation(1), 7], "row 1: expected an object"),
    "missing output": ([annotation(1), {"output_1": "a", "preference": 1}], "row 1, key 'output_2': is missing"),
    "missing preference": ([{"output_1": "a", "output_2": "b"}], "row 0, key 'preference': is missing"),
    "text preference": ([annotation("1.5")], "row 0, key 'preference': expected a number, found text"),
    "true preference": ([annotation(True)], "row 0, key 'preference': expected a number, found true or false"),
    "preference out of range": ([annotation(2.5)], "row 0, key 'preference': 2.5 is neither"),
    "infinite preference": ([annotation(float("inf"))], "row 0, key 'preference': inf is neither"),
    "preference below": ([annotation(0.5)], "row 0, key 'preference': 0.5 is neither"),
    "no verdict at all": ([annotation(None)] * 2, "not one of its 2 rows has a preference"),
    "two models": ([{**annotation(1), "generator_2": name} for name in "ab"], "row 1, key 'generator_2': 'b', and in"),
    "two annotators": ([{**annotation(1), "annotator": name} for name in "ab"], "row 1, key 'annotator': 'b', and in"),
    "turned round": (
        [annotation(1) | {"generator_1": "base", "generator_2": "mine"}, annotation(1) | {"generator_1": "mine"}],
        "row 1, key 'generator_1': 'mine', and in row 0 'base'",
    ),
    "output is null": ([annotation(1, output_2=None)], "row 0, key 'output_2': expected text, found null"),
    "output is a list": ([annotation(1, output_1=["a"])], "row 0, key 'output_1': expected text, found a list"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_named_by_file_row_and_key(tmp_path, case):
    rows, message = BAD[case]
    path = written(tmp_path / "bad.json", rows)
    with pytest.raises(StudyError, match=message) as error:
        scored(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[{"),
        ("a.json", b"\xff\xfe"),
        ("a.json.gz", b"no gzip"),
        ("b.json.gz", gzip.compress(b"[]" * 99, mtime=0)[:20]),
    ],
    ids=["json that breaks off", "bytes that are no text", "no gzip", "gzip that breaks off"],
)
def test_files_that_can_not_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=name):
        scored(tmp_path / name)


def test_calibrations_that_are_none(tmp_path):
    rows, files = written(tmp_path / "a.json", [annotation(2)] * 3), calibration(tmp_path, 3)
    files["gamed"].write_text("model,preference\nbrief,0.5\n")
    with pytest.raises(StudyError, match=r"df_gamed\.csv: not a table with the columns preference, std_delta_len"):
        scored(rows, **files)
    files = calibration(tmp_path, 3)
    files["difficulty"].write_text("index,difficulty\n0,0.5\n7,0.2\n")
    with pytest.raises(StudyError, match=r"must number the instructions 0 \.\. 1"):
        scored(rows, **files)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real annotations are not at hand")
@pytest.mark.parametrize("model", ["alpaca-7b", "gemma-7b-it", "gpt-3.5-turbo-1106"])
def test_published_figures(tmp_path, model):
    published = json.loads((REAL / "published.json").read_text())[model]
    output = tmp_path / "score.json"
    alpaca_eval.main(Args(annotations=(REAL / f"{model}.annotations.json.gz",), output=(output,)))
    score = json.loads(output.read_text())
    assert (score["n"], score["avg_length"]) == (published["n"], published["avg_length"])
    assert score["win_rate"] == pytest.approx(published["win_rate"], abs=1e-10)
    assert score["standard_error"] == pytest.approx(published["standard_error"], abs=1e-10)
    assert score["lc_win_rate"] is None


@pytest.mark.skipif(not REAL.is_dir(), reason="the real annotations are not at hand")
def test_the_published_coefficients_fit_the_real_annotations_best():
    """Without the calibration files the published regression can't be repeated. But at the published coefficients, with
    the difficulties that all three models agree on best, no other length coefficient predicts much better: the
    features have the published sign and scale."""
    from scipy.special import expit

    from scripts.evaluate.length_control import length_feature

    published = json.loads((REAL / "published.json").read_text())
    weights = {name: facts["published_glm_weights"] for name, facts in published.items()}
    found = {name: alpaca_eval.read_annotations(REAL / f"{name}.annotations.json.gz") for name in published}
    length = {name: length_feature(one.length, one.baseline_length) for name, one in found.items()}

    def predicted(name, difficulty, a):
        return expit(a * length[name] + weights[name]["instruction_difficulty"] * difficulty + weights[name]["bias"])

    difficulty = np.zeros(805)
    for _ in range(50):  # Newton's method, with a standard normal prior
        gradient, curvature = -difficulty, np.ones(805)
        for name, one in found.items():
            b = weights[name]["instruction_difficulty"]
            p = predicted(name, difficulty, weights[name]["tanh_std_delta_len"])
            gradient, curvature = gradient + b * (one.preference - p), curvature + b**2 * p * (1 - p)
        difficulty = difficulty + gradient / curvature
    for name, one in found.items():
        a = weights[name]["tanh_std_delta_len"]
        losses = {}
        for factor in (-1, 0, 1, 2):
            p = predicted(name, difficulty, factor * a)
            losses[factor] = -np.mean(one.preference * np.log(p) + (1 - one.preference) * np.log(1 - p))
        assert min(losses, key=losses.get) == 1, (name, losses)
