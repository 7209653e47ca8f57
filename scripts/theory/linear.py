"""The linear world of Section 3.2: known features, finite prompts and responses, every policy and value exact.

r*(x, a) = <theta*, phi(x, a)> with ||theta*|| = B, d0 uniform over the prompts, Bradley-Terry preferences. All
functions work on `runs` independent worlds at once: S runs, X prompts, A responses to each, d features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_softmax


@dataclass(frozen=True)
class World:
    features: np.ndarray
    """phi(x, a), unit vectors, shape (S, X, A, d)."""
    theta: np.ndarray
    """theta*, shape (S, d)."""
    log_reference: np.ndarray
    """log pi_0(a|x), shape (S, X, A)."""
    eta: float
    """KL coefficient of Equation 2."""


def draw_worlds(
    generator: np.random.Generator,
    *,
    runs: int,
    prompts: int,
    responses: int,
    dimension: int,
    norm: float,
    eta: float,
    spread: float,
    narrowness: float,
) -> World:
    """Worlds with random features and rewards.

    Responses are of d kinds, in equal numbers: a response's features are its kind's unit vector and `spread` times
    noise, scaled to norm 1. pi_0 is a softmax of `narrowness` times the features along a direction that has nothing to
    do with theta*: 0 makes it uniform, so that it shows every response; with a large one it hardly ever shows some.
    """
    kinds = np.eye(dimension)[np.arange(responses) % dimension]  # (A, d)
    noise = generator.normal(size=(runs, prompts, responses, dimension)) / np.sqrt(dimension)
    features = _unit(kinds + spread * noise)
    theta = norm * _unit(generator.normal(size=(runs, dimension)))
    habit = narrowness * _unit(generator.normal(size=(runs, dimension)))
    return World(features, theta, log_softmax(rewards(features, habit), axis=-1), eta)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rewards(features: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """<theta, phi(x, a)>, shape (S, X, A)."""
    return (features @ theta[:, None, :, None])[..., 0]


def best_policy(world: World, theta: np.ndarray) -> np.ndarray:
    """log pi(a|x), the maximiser of Equation 7 for the reward of `theta`: Equation 3; shape (S, X, A)."""
    return log_softmax(world.log_reference + rewards(world.features, theta) / world.eta, axis=-1)


def divergence(log_policy: np.ndarray, log_other: np.ndarray) -> np.ndarray:
    """E_x KL(policy || other) in nats, shape (S,)."""
    return (np.exp(log_policy) * (log_policy - log_other)).sum(axis=-1).mean(axis=-1)


def value(world: World, log_policy: np.ndarray) -> np.ndarray:
    """J(pi) of Equation 2 under the true reward, shape (S,)."""
    reward = (np.exp(log_policy) * rewards(world.features, world.theta)).sum(axis=-1).mean(axis=-1)
    return reward - world.eta * divergence(log_policy, world.log_reference)


def suboptimality(world: World, log_policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J(pi*) - J(pi), and eta E KL(pi* || pi), which Theorem 1 adds to it; shape (S,) each."""
    optimum = best_policy(world, world.theta)
    return value(world, optimum) - value(world, log_policy), world.eta * divergence(optimum, log_policy)


# --- preferences ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """Labelled pairs (x_i, a_i^1, a_i^2, y_i), shape (S, m) each."""

    prompt: np.ndarray
    first: np.ndarray
    second: np.ndarray
    first_wins: np.ndarray


def draw_responses(
    generator: np.random.Generator, log_policy: np.ndarray, prompt: np.ndarray, count: int
) -> np.ndarray:
    """`count` responses to each of the prompts of shape (S, m); shape (S, m, count)."""
    cumulative = np.exp(log_policy).cumsum(axis=-1)
    cumulative /= cumulative[..., -1:]
    of_prompt = np.take_along_axis(cumulative, prompt[..., None], axis=1)  # (S, m, A)
    drawn = generator.random((*prompt.shape, count))
    return (drawn[..., None] >= of_prompt[:, :, None, :]).sum(axis=-1)


def label(
    generator: np.random.Generator, world: World, prompt: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Batch:
    """Ask the preference oracle: y ~ Ber(sigmoid(r*(x, a1) - r*(x, a2))), Equation 1."""
    reward = np.take_along_axis(rewards(world.features, world.theta), prompt[..., None], axis=1)  # (S, m, A)
    margin = sum(
        sign * np.take_along_axis(reward, response[..., None], axis=-1)[..., 0]
        for sign, response in ((1, first), (-1, second))
    )
    return Batch(prompt, first, second, generator.random(margin.shape) < expit(margin))


# --- the maximum-likelihood reward ------------------------------------------------------------------------------------


class Preferences:
    """All pairs labelled so far, as counts of wins, which is all that the likelihood of Equation 4 depends on."""

    def __init__(self, world: World):
        runs, prompts, responses, dimension = world.features.shape
        self.shape = (runs, prompts, responses, responses)
        self.wins = np.zeros(self.shape)
        self.one, self.other = np.triu_indices(responses, k=1)
        differences = world.features[:, :, self.one] - world.features[:, :, self.other]
        self.differences = differences.reshape(runs, -1, dimension)  # (S, pairs, d)

    def add(self, batch: Batch) -> None:
        winner = np.where(batch.first_wins, batch.first, batch.second)
        loser = np.where(batch.first_wins, batch.second, batch.first)
        run = np.arange(self.shape[0])[:, None]
        index = np.ravel_multi_index((run, batch.prompt, winner, loser), self.shape)
        self.wins += np.bincount(index.ravel(), minlength=self.wins.size).reshape(self.shape)

    def maximum_likelihood(self, ridge: float, start: np.ndarray) -> np.ndarray:
        """theta that maximises sum log sigmoid(<theta, phi_w - phi_l>) - ridge/2 ||theta||^2, by Newton; shape (S, d).

        The ridge keeps theta finite while few preferences tell too little.

        Args:
            start: where to begin, (S, d); the maximiser does not depend on it.
        """
        won = self.wins[:, :, self.one, self.other].reshape(len(start), -1)  # (S, pairs)
        total = won + self.wins[:, :, self.other, self.one].reshape(len(start), -1)
        theta, identity = start, ridge * np.eye(start.shape[-1])
        for _ in range(50):
            z = (self.differences @ theta[..., None])[..., 0]
            gradient = _weighted_sum(self.differences, won - total * expit(z)) - ridge * theta
            weights = total * expit(z) * expit(-z)
            curvature = self.differences.swapaxes(1, 2) @ (weights[..., None] * self.differences) + identity
            step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
            # The logistic loss is generalised self-concordant: this damping never overshoots (features differ by <= 2).
            length = 2 * np.linalg.norm(step, axis=-1, keepdims=True) + 1e-300
            theta = theta + step * np.log1p(length) / length
            if length.max() < 1e-8:
                return theta
        return theta


def _weighted_sum(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_p w_p v_p, from (S, pairs, d) and (S, pairs) to (S, d)."""
    return (weights[:, None, :] @ vectors)[:, 0]
