"""Intervals: those of scipy's bootstrap, of the coverage that they promise, and a proportion's width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripts.common import intervals
from scripts.common.intervals import RESAMPLES, mean, weighted_mean

samples = arrays(float, st.integers(2, 40), elements=st.floats(-100, 100))


def test_agrees_with_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(5).gamma(2.0, 1.5, 150)
    ours = mean(values, seed=1)
    theirs = bootstrap((values,), np.mean, n_resamples=9_999, method="percentile", rng=2).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert ours.interval() == pytest.approx((theirs.low, theirs.high), abs=0.1 * (theirs.high - theirs.low))


def test_covers_the_true_mean_as_often_as_it_says():
    draw = np.random.default_rng(0)
    trials = [mean(draw.normal(3.0, 1.0, 60), seed=trial).interval() for trial in range(200)]
    assert 0.89 < np.mean([low <= 3.0 <= high for low, high in trials]) < 0.99


def test_width_of_a_proportion():
    low, high = mean(np.repeat([0.0, 1.0], 200), seed=1).interval()
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.005)


def test_one_unit_has_no_interval():
    alone = mean(np.array([2.5]), seed=1)
    assert (alone.value, alone.n) == (2.5, 1)
    assert np.isnan(alone.interval()).all()


def test_constant_values_have_an_interval_of_no_width():
    assert mean(np.full(30, 0.7), seed=1).interval() == pytest.approx((0.7, 0.7))


def test_no_unit_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        mean(np.array([]), seed=1)


@settings(max_examples=25, deadline=None)
@given(samples)
def test_interval_lies_within_the_values_and_is_repeatable(values):
    first, second = mean(values, seed=7), mean(values, seed=7)
    assert np.array_equal(first.replicates, second.replicates)
    low, high = first.interval()
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9


def test_seeds_differ():
    values = np.arange(20.0)
    assert not np.array_equal(mean(values, seed=1).replicates, mean(values, seed=2).replicates)


def test_difference_is_the_paired_one():
    base = np.random.default_rng(1).normal(0, 10, 100)
    better = base + np.random.default_rng(2).normal(1, 0.1, 100)
    difference = mean(better, seed=3) - mean(base, seed=3)
    assert np.allclose(difference.replicates, mean(better - base, seed=3).replicates)
    low, high = difference.interval()
    assert 0.9 < low < high < 1.1  # unpaired, it would be about 5 wide


def test_different_numbers_of_units_are_not_paired():
    with pytest.raises(ValueError, match="can't be paired"):
        mean(np.arange(3.0), seed=1) - mean(np.arange(4.0), seed=1)


def test_chunks_do_not_change_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "CHUNK", 700)
    drawn = mean(np.arange(100.0), seed=1)  # 7 resamples at a time, and 5 at the end
    assert drawn.replicates.shape == (RESAMPLES,)
    assert drawn.replicates.mean() == pytest.approx(49.5, abs=0.5)


def test_weighted_mean_of_groups():
    groups = [np.array([1.0, 1.0, 0.0, 0.0]), np.ones(10)]
    found = weighted_mean(groups, [3, 1], seed=1)
    assert found.value == pytest.approx((3 * 0.5 + 1 * 1.0) / 4)
    assert found.n == 14
    low, high = found.interval()
    assert 0.25 <= low < found.value < high <= 1.0
