"""Calibration, agreement and over-optimisation: answers known in closed form or by trying everything."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.report import plot_calibration
from scripts.report.plot_agreement import agreements
from scripts.report.plot_best_of_n import best_of, curve
from scripts.report.plot_calibration import accuracy_by_gap, calibration_errors, reliability_curve, verdicts

from .conftest import write_held_out, write_mix

# --- calibration ------------------------------------------------------------------------------------------------------


def test_a_model_that_is_right_as_often_as_it_says_has_no_error():
    """Margins whose confidence is 0.65 and 0.95; of each 20 pairs 13 and 19 are right."""
    margins = np.concatenate(
        [np.log(p / (1 - p)) * np.repeat([1, -1], [k, 20 - k]) for p, k in ((0.65, 13), (0.95, 19))]
    )
    confidence, right = verdicts(margins)
    assert calibration_errors(confidence, right) == pytest.approx(0, abs=1e-12)
    rows = reliability_curve(confidence, right)
    assert [(row["confidence"], row["accuracy"], row["n"]) for row in rows] == [
        (pytest.approx(0.65), 0.65, 20),
        (pytest.approx(0.95), 0.95, 20),
    ]


def test_error_of_a_model_that_is_too_sure():
    """Three groups by hand: 10 pairs at 0.97 of which 5 are right, 30 at 0.77 of which 30 are, 10 ties at 1/2."""
    confidence = np.repeat([0.97, 0.77, 0.5], [10, 30, 10])
    right = np.concatenate([np.repeat([1, 0], 5), np.ones(30), np.repeat([0.5], 10)])
    assert calibration_errors(confidence, right) == pytest.approx((10 * 0.47 + 30 * 0.23 + 0) / 50)
    rows = np.stack([confidence, confidence])
    assert calibration_errors(rows, np.stack([right, right])).shape == (2,)


def test_draws_from_the_models_own_probabilities_are_calibrated():
    draw = np.random.default_rng(0)
    margins = draw.normal(0, 2, 20_000)
    better = draw.random(20_000) < 1 / (1 + np.exp(-margins))
    confidence, right = verdicts(np.where(better, np.abs(margins), -np.abs(margins)) * np.sign(margins))
    assert calibration_errors(confidence, right) < 0.015


def test_ties_are_half_right_and_unsure():
    confidence, right = verdicts(np.array([0.0, 3.0, -3.0]))
    assert right.tolist() == [0.5, 1.0, 0.0]
    assert confidence[0] == 0.5
    assert confidence[1] == confidence[2] > 0.95


def test_a_model_that_goes_by_length():
    gaps = np.arange(-10, 10).astype(float)
    rows = accuracy_by_gap(gaps, (gaps > 0).astype(float), seed=1)
    assert [row["n"] for row in rows] == [4, 4, 4, 4, 4]
    assert [row["accuracy"] for row in rows] == [0, 0, 0.25, 1, 1]
    assert [row["gap"] for row in rows] == [-8.5, -4.5, -0.5, 3.5, 7.5]


def test_equal_gaps_are_one_group():
    (row,) = accuracy_by_gap(np.zeros(9), np.ones(9), seed=1)
    assert (row["n"], row["accuracy"]) == (9, 1.0)


def test_pairs_that_the_mix_does_not_hold(tmp_path):
    write_held_out(tmp_path / "scores.parquet", {"hh_rlhf": (3, 5)})
    write_mix(tmp_path / "mix.parquet", {"hh_rlhf": 4})
    with pytest.raises(StudyError, match=r"5 pairs, of which .* holds 4; score them again"):
        plot_calibration.read_pairs(tmp_path / "scores.parquet", tmp_path / "mix.parquet")


def test_calibration_of_the_study(table):
    rows = {row["model"]: row for row in table("calibration.csv")}
    sure = 1 / (1 + np.exp(-1))  # every margin is 1 or -1
    assert rows["mix1"]["error"] == pytest.approx(abs(65 / 80 - sure), abs=1e-6)
    assert rows["mix1"]["n"] == 80


# --- agreement --------------------------------------------------------------------------------------------------------


def test_agreement_with_itself_the_opposite_and_a_judge_without_opinion():
    right = np.array([1.0, 1.0, 0.0, 1.0])
    rows = agreements({"a": right, "opposite": 1 - right, "undecided": np.full(4, 0.5)}, seed=1)
    found = {(row["model"], row["other"]): row for row in rows}
    assert found["a", "a"]["agreement"] == 1
    assert found["a", "opposite"]["agreement"] == 0
    assert found["a", "undecided"]["agreement"] == 0.5
    assert found["a", "opposite"]["expected"] == pytest.approx(0.75 * 0.25 + 0.25 * 0.75)
    assert found["a", "opposite"]["agreement"] == found["opposite", "a"]["agreement"]


# --- best of n --------------------------------------------------------------------------------------------------------


@given(proxy=st.lists(st.integers(0, 4), min_size=1, max_size=7), n=st.integers(1, 7), seed=st.integers(0, 100))
def test_best_of_n_is_the_mean_over_all_subsets(proxy, n, seed):
    n = min(n, len(proxy))
    values = np.random.default_rng(seed).normal(size=len(proxy))
    means = []
    for subset in combinations(range(len(proxy)), n):
        best = max(proxy[i] for i in subset)
        means.append(np.mean([values[i] for i in subset if proxy[i] == best]))
    found = best_of(np.array([proxy], dtype=float), values[None], n)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(np.mean(means))


def test_best_of_one_is_the_mean_and_of_all_the_best():
    proxy = np.array([[3.0, 1.0, 2.0]])
    assert best_of(proxy, np.array([[10.0, 20.0, 60.0]]), 1)[0] == pytest.approx(30)
    assert best_of(proxy, np.array([[10.0, 20.0, 60.0]]), 3)[0] == pytest.approx(10)


def test_expected_maximum_of_uniform_draws():
    """n / (n + 1) for n draws from [0, 1], up to n = 64; the gold reward that is the opposite falls as it rises."""
    proxy = np.random.default_rng(0).random((400, 64))
    rows = curve({"proxy": proxy, "gold": 1 - proxy, "characters": np.ones_like(proxy)}, seed=1)
    assert [row["n"] for row in rows] == [1, 2, 4, 8, 16, 32, 64]
    for row in rows:
        assert row["proxy"] == pytest.approx(row["n"] / (row["n"] + 1), abs=0.006)
        assert row["gold"] == pytest.approx(1 - row["proxy"])
        assert row["proxy_low"] <= row["proxy"] <= row["proxy_high"]
        assert row["characters"] == pytest.approx(1)
    assert rows[0]["kl_bound"] == 0
    assert rows[-1]["kl_bound"] == pytest.approx(3.1745, abs=1e-4)


def test_numbers_up_to_what_there_is(table):
    rows = [row for row in table("best_of_n.csv") if row["model"] == "mix1"]
    assert [row["n"] for row in rows] == [1, 2, 4, 8]
    assert [row["proxy"] for row in rows] == sorted(row["proxy"] for row in rows)
