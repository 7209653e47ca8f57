"""The linear world: the optimum of Equation 3, values, preferences and the maximum-likelihood reward."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax

from scripts.theory import linear

SIZES = {"runs": 3, "prompts": 4, "responses": 6, "dimension": 3, "spread": 0.5, "norm": 2.0, "eta": 0.3}


def world(seed: int = 0, narrowness: float = 3.0, **changes) -> linear.World:
    return linear.draw_worlds(np.random.default_rng(seed), **{**SIZES, **changes}, narrowness=narrowness)


def policies(seed: int, like: linear.World) -> np.ndarray:
    return log_softmax(np.random.default_rng(seed).normal(scale=3, size=like.log_reference.shape), axis=-1)


def test_features_have_norm_1_and_rewards_norm_b():
    made = world()
    assert np.linalg.norm(made.features, axis=-1) == pytest.approx(np.ones((3, 4, 6)))
    assert np.linalg.norm(made.theta, axis=-1) == pytest.approx(np.full(3, 2.0))
    assert np.exp(world(narrowness=0.0).log_reference) == pytest.approx(np.full((3, 4, 6), 1 / 6))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), other=st.integers(0, 10_000))
def test_the_closed_form_is_the_best_policy(seed, other):
    """No other policy has a higher J; the gap is eta KL(pi || pi*), an identity of Equation 3."""
    made = world(seed)
    optimum, policy = linear.best_policy(made, made.theta), policies(other, made)
    gap, further = linear.suboptimality(made, policy)
    assert gap == pytest.approx(made.eta * linear.divergence(policy, optimum))
    assert (gap > 0).all()
    assert further == pytest.approx(made.eta * linear.divergence(optimum, policy))


def test_value_of_the_optimum_is_the_log_partition_function():
    """J(pi*) = eta E_x log Z(x), Equation 3."""
    made = world()
    weights = np.exp(made.log_reference + linear.rewards(made.features, made.theta) / made.eta)
    expected = made.eta * np.log(weights.sum(axis=-1)).mean(axis=-1)
    assert linear.value(made, linear.best_policy(made, made.theta)) == pytest.approx(expected)


def test_without_a_reward_the_best_policy_is_the_reference():
    made = world()
    assert linear.best_policy(made, np.zeros((3, 3))) == pytest.approx(made.log_reference)


def test_responses_are_drawn_with_the_policys_probabilities():
    made = world(runs=1, prompts=2)
    prompt = np.repeat([[0, 1]], 1, axis=0)
    drawn = linear.draw_responses(np.random.default_rng(1), made.log_reference, prompt, 200_000)
    for x in range(2):
        found = np.bincount(drawn[0, x], minlength=6) / 200_000
        assert found == pytest.approx(np.exp(made.log_reference[0, x]), abs=5e-3)


def test_preferences_are_bradley_terry():
    """Equation 1."""
    made = world(runs=1)
    prompt, first, second = (np.full((1, 100_000), value) for value in (2, 0, 5))
    batch = linear.label(np.random.default_rng(1), made, prompt, first, second)
    reward = linear.rewards(made.features, made.theta)[0, 2]
    assert batch.first_wins.mean() == pytest.approx(expit(reward[0] - reward[5]), abs=5e-3)


def labelled(made: linear.World, pairs: int, seed: int = 1) -> tuple[linear.Preferences, linear.Batch]:
    generator = np.random.default_rng(seed)
    runs, prompts, responses, _ = made.features.shape
    prompt = generator.integers(prompts, size=(runs, pairs))
    first, second = (generator.integers(responses, size=(runs, pairs)) for _ in range(2))
    batch = linear.label(generator, made, prompt, first, second)
    preferences = linear.Preferences(made)
    preferences.add(batch)
    return preferences, batch


def test_maximum_likelihood_is_stationary_pair_by_pair():
    """The gradient of the likelihood of Equation 4, written out over the pairs themselves, is zero."""
    made = world()
    preferences, batch = labelled(made, 300)
    theta = preferences.maximum_likelihood(0.5, np.zeros((3, 3)))
    for s in range(3):
        winner = np.where(batch.first_wins[s], batch.first[s], batch.second[s])
        loser = np.where(batch.first_wins[s], batch.second[s], batch.first[s])
        difference = made.features[s, batch.prompt[s], winner] - made.features[s, batch.prompt[s], loser]
        gradient = (expit(-difference @ theta[s])[:, None] * difference).sum(axis=0) - 0.5 * theta[s]
        assert gradient == pytest.approx(np.zeros(3), abs=1e-6)


def test_maximum_likelihood_does_not_depend_on_the_start():
    preferences, _ = labelled(world(), 300)
    far = np.random.default_rng(0).normal(scale=20, size=(3, 3))
    assert preferences.maximum_likelihood(0.5, far) == pytest.approx(
        preferences.maximum_likelihood(0.5, np.zeros((3, 3))), abs=1e-6
    )


def test_maximum_likelihood_is_consistent():
    """A hundred times the pairs, a tenth of the error."""
    made = world(runs=60)
    errors = []
    for pairs in (1_000, 100_000):
        theta = labelled(made, pairs)[0].maximum_likelihood(1e-3, np.zeros((60, 3)))
        errors.append(np.sqrt(((theta - made.theta) ** 2).sum(axis=-1).mean()))
    assert errors[1] < 0.06
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.3)


def test_batches_add_up():
    made = world()
    together, batch = labelled(made, 100)
    parts = linear.Preferences(made)
    for half in (slice(0, 37), slice(37, None)):
        parts.add(replace(batch, **{name: value[:, half] for name, value in vars(batch).items()}))
    assert (parts.wins == together.wins).all()
    assert parts.wins.sum() == 3 * 100
