"""Estimates with their uncertainty: the percentile bootstrap over prompts, vectorised and seeded (promise 4).

An `Estimate` keeps its bootstrap replicates. Two estimates made from the same prompts with the same seed were resampled
alike, so their difference is the paired one: `(a - b).interval()`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.common.seeds import seed_from

RESAMPLES = 2_000
LEVEL = 0.95
CHUNK = 4_000_000  # drawn indices held in memory at a time

Statistic = Callable[[np.ndarray], np.ndarray]
"""From indices of the resampled units, shape (resamples, n), to the statistic of each resample, shape (resamples,)."""


@dataclass(frozen=True)
class Estimate:
    """A statistic of `n` units (prompts, pairs) and its values on bootstrap resamples of them, shape (resamples,)."""

    value: float
    replicates: np.ndarray
    n: int

    def interval(self) -> tuple[float, float]:
        """The 95% percentile interval; (nan, nan) for a single unit, whose spread can't be known."""
        if self.n < 2:
            return float("nan"), float("nan")
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(self.replicates, [tail, 1 - tail])
        return float(low), float(high)

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The paired difference; both must come from the same units, in the same order, with the same seed."""
        if self.n != other.n:
            raise ValueError(f"estimates of {self.n} and of {other.n} units can't be paired")
        return Estimate(self.value - other.value, self.replicates - other.replicates, self.n)


def estimate(statistic: Statistic, n: int, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """A statistic of units 0 .. n-1 and its replicates on samples of n units with replacement."""
    if n < 1:
        raise ValueError("an estimate needs at least one unit")
    generator = np.random.default_rng(seed_from(seed, "bootstrap", n))
    rows = max(1, CHUNK // n)
    replicates = [
        statistic(generator.integers(0, n, size=(min(rows, resamples - start), n)))
        for start in range(0, resamples, rows)
    ]
    return Estimate(float(statistic(np.arange(n)[None, :])[0]), np.concatenate(replicates), n)


def mean(values: np.ndarray, seed: int) -> Estimate:
    """The mean of one value for each unit, shape (n,)."""
    values = np.asarray(values, dtype=float)
    return estimate(lambda index: values[index].mean(axis=1), len(values), seed)


def wins(difference: np.ndarray) -> np.ndarray:
    """1 where a score is higher than the other's, 1/2 where both are equal, 0 where it is lower."""
    return (np.sign(difference) + 1) / 2


def weighted_mean(groups: Sequence[np.ndarray], weights: Sequence[float], seed: int) -> Estimate:
    """The weighted mean of group means, each group resampled within itself (a stratified bootstrap)."""
    parts = [mean(values, seed_from(seed, "group", index)) for index, values in enumerate(groups)]
    shares = np.asarray(weights, dtype=float) / np.sum(weights)
    return Estimate(
        float(sum(share * part.value for share, part in zip(shares, parts, strict=True))),
        sum(share * part.replicates for share, part in zip(shares, parts, strict=True)),
        sum(part.n for part in parts),
    )
