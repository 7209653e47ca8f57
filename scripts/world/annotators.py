"""The annotators: they like what the gold reward likes, but also length, and now and then they do not look.

All sources share one mechanism. An annotator's utility of a response is

    gold reward + ell * characters / 100 + Gumbel(0, 1 / kappa)

where ell depends on the family of the prompt. The difference of two such noises is logistic, so that of two responses
the first is preferred with the Bradley-Terry probability (Section 2 of the paper)

    sigma(kappa * difference of (gold + ell * characters / 100)).

With the probability `label_noise` an annotator is careless and mixes the responses up: of two, either is then preferred
with probability 1/2.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.world.gold import inspect
from scripts.world.prompts import Task

KAPPA = 2.0


@dataclass(frozen=True)
class Annotator:
    length_bias: Mapping[str, float]
    """ell by family: what 100 characters are worth, in units of gold reward."""
    label_noise: float

    def utilities(self, task: Task, responses: Sequence[str], rng: random.Random) -> list[float]:
        """One noisy utility a response; comparing them gives the annotator's preference."""
        found = [self.expected_utility(task, response) + gumbel(rng) / KAPPA for response in responses]
        if rng.random() < self.label_noise:
            rng.shuffle(found)
        return found

    def expected_utility(self, task: Task, response: str) -> float:
        """The utility without noise, up to a constant."""
        return inspect(task, response).reward + self.length_bias[task.family] * len(response) / 100

    def preferred(self, task: Task, responses: Sequence[str], rng: random.Random) -> int:
        """Index of the response that the annotator prefers."""
        found = self.utilities(task, responses, rng)
        return found.index(max(found))


def gumbel(rng: random.Random) -> float:
    """A draw from the standard Gumbel distribution."""
    u = 1.0 - rng.random()  # in (0, 1], and 1 would give an infinite draw
    return -math.log(-math.log(u)) if u < 1 else gumbel(rng)
