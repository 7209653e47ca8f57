"""The length-controlled win rate: a known truth found again, and the regression against a plain optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from scripts.evaluate.length_control import GAMED_WEIGHT, Fit, Gamed, equal_length, fit, length_feature, refit

NOBODY = Gamed(np.zeros(0), np.zeros(0), np.zeros(0))


def world(n: int, a: float, b: float, c: float, seed: int = 1):
    """Soft preferences that follow the model exactly, of a policy that writes longer than the baseline."""
    draw = np.random.default_rng(seed)
    length, difficulty = np.tanh(draw.normal(-0.8, 1, n)), draw.normal(0, 0.5, n)
    return expit(a * length + b * difficulty + c), length, difficulty


def test_the_feature_is_positive_where_the_baseline_is_longer():
    policy, baseline = np.array([10.0, 20.0, 30.0]), np.array([40.0, 20.0, 10.0])
    expected = np.tanh((baseline - policy) / np.std(baseline - policy, ddof=1))
    assert length_feature(policy, baseline) == pytest.approx(expected)
    assert expected[0] > 0 == expected[1] > expected[2]


@pytest.mark.parametrize(("policy", "baseline"), [([5, 6, 7], [5, 6, 7]), ([5, 6, 7], [9, 10, 11]), ([5], [9])])
def test_without_spread_there_is_no_length_to_control(policy, baseline):
    assert length_feature(np.array(policy), np.array(baseline)).tolist() == [0.0] * len(policy)


def test_finds_the_win_rate_at_equal_length():
    """A judge who likes length, and a policy that is long: the plain rate flatters it."""
    preference, length, difficulty = world(3_000, a=-1.5, b=0.8, c=-0.4)
    found = fit(preference, length, difficulty, NOBODY)
    assert found.coefficients == pytest.approx([-1.5, 0.8, -0.4], abs=0.03)
    at_equal_length = expit(0.8 * difficulty - 0.4)
    assert equal_length(found, difficulty).mean() == pytest.approx(at_equal_length.mean(), abs=0.005)
    assert preference.mean() > at_equal_length.mean() + 0.15


def test_gamed_baselines_teach_what_length_does_where_the_policy_can_not():
    """All of the policy's answers are longer by about the same: length and policy can't be told apart without them."""
    draw = np.random.default_rng(2)
    length, difficulty = np.tanh(draw.normal(-1.0, 0.02, 400)), draw.normal(0, 0.5, 400)
    preference = expit(-1.5 * length - 1.0)
    gamed_length = draw.normal(0, 1.2, 4_000)
    gamed = Gamed(expit(-1.5 * np.tanh(gamed_length)), gamed_length, np.tile(difficulty, 10))
    alone, together = (equal_length(fit(preference, length, difficulty, g), difficulty).mean() for g in (NOBODY, gamed))
    assert together == pytest.approx(expit(-1.0), abs=0.01)
    assert abs(alone - expit(-1.0)) > 0.05


def test_agrees_with_a_plain_optimiser_of_the_same_objective():
    """C sum of weighted log losses + L1 norm, by Powell's method, which needs no gradient."""
    preference, length, difficulty = world(200, a=-1.0, b=0.5, c=0.2, seed=5)
    preference = np.clip(preference + np.random.default_rng(6).normal(0, 0.2, 200), 0, 1)
    gamed_length = np.random.default_rng(7).normal(0, 1, 100)
    gamed = Gamed(expit(-gamed_length), gamed_length, difficulty[:100])
    found = refit(Fit(np.zeros(3), strength=0.7), np.ones(200), preference, length, difficulty, gamed)

    def objective(w):
        own = w[0] * length + w[1] * difficulty + w[2]
        theirs = w[0] * np.tanh(gamed_length) + w[1] * difficulty[:100]
        loss = (np.logaddexp(0, -own) * preference + np.logaddexp(0, own) * (1 - preference)).sum()
        p = gamed.preference
        loss += GAMED_WEIGHT * (np.logaddexp(0, -theirs) * p + np.logaddexp(0, theirs) * (1 - p)).sum()
        return 0.7 * loss + np.abs(w).sum()

    reference = minimize(objective, np.zeros(3), method="Powell", options={"xtol": 1e-9, "ftol": 1e-12})
    assert objective(found.coefficients) == pytest.approx(reference.fun, rel=1e-5)
    assert found.coefficients == pytest.approx(reference.x, abs=5e-3)


def test_counts_are_repetitions():
    preference, length, difficulty = world(60, a=-1.0, b=0.5, c=0.2, seed=8)
    first = fit(preference, length, difficulty, NOBODY)
    rows = np.random.default_rng(9).integers(0, 60, 60)
    counted = refit(first, np.bincount(rows, minlength=60), preference, length, difficulty, NOBODY)
    repeated = refit(first, np.ones(60), preference[rows], length[rows], difficulty[rows], NOBODY)
    assert counted.coefficients == pytest.approx(repeated.coefficients, abs=2e-3)


@pytest.mark.parametrize("always", [0.0, 1.0])
def test_stays_finite_where_all_preferences_agree(always):
    _, length, difficulty = world(50, 0, 0, 0)
    found = equal_length(fit(np.full(50, always), length, difficulty, NOBODY), difficulty)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(always, abs=0.1)
