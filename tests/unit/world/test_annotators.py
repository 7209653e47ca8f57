"""Annotators prefer with the Bradley-Terry probability of what they are said to prefer."""

import math
import random

import pytest

from scripts.world.annotators import KAPPA, Annotator, gumbel
from scripts.world.prompts import parse

TASK = parse("what is a fox ?")
RIGHT, WRONG = "fox belongs to animals .", "fox belongs to fruits ."
SHORT, LONG = RIGHT, RIGHT + " hopefully this information helps ."
DRAWS = 4000


def share(annotator: Annotator, responses: tuple[str, ...], preferred: int = 0) -> float:
    rng = random.Random(5)
    return sum(annotator.preferred(TASK, responses, rng) == preferred for _ in range(DRAWS)) / DRAWS


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def five_standard_errors(p: float) -> float:
    return 5 * math.sqrt(p * (1 - p) / DRAWS)


@pytest.mark.parametrize("ell", [0.0, 1.2])
@pytest.mark.parametrize("responses", [(SHORT, LONG), (LONG, SHORT), (WRONG, LONG), (WRONG, WRONG + " " + RIGHT)])
def test_frequencies_match_bradley_terry(ell, responses):
    annotator = Annotator({"fact": ell}, label_noise=0)
    a, b = (annotator.expected_utility(TASK, response) for response in responses)
    p = sigma(KAPPA * (a - b))
    assert share(annotator, responses) == pytest.approx(p, abs=five_standard_errors(p))


def test_length_bias_is_worth_what_it_says():
    longer = Annotator({"fact": 1.2}, 0).expected_utility(TASK, LONG)
    shorter = Annotator({"fact": 1.2}, 0).expected_utility(TASK, SHORT)
    assert longer - shorter == pytest.approx(-0.1 + 1.2 * (len(LONG) - len(SHORT)) / 100)


@pytest.mark.parametrize("noise", [0.0, 0.06, 0.5, 1.0])
def test_a_careless_annotator_tosses_a_coin(noise):
    annotator = Annotator({"fact": 0}, label_noise=noise)
    p = noise / 2 + (1 - noise) * sigma(KAPPA * 3)
    assert share(annotator, (RIGHT, WRONG)) == pytest.approx(p, abs=five_standard_errors(p))


def test_careless_annotators_mix_up_any_number_of_responses():
    annotator = Annotator({"fact": 0}, label_noise=1)
    for i in range(4):
        found = share(annotator, (RIGHT, WRONG, WRONG, WRONG), preferred=i)
        assert found == pytest.approx(0.25, abs=five_standard_errors(0.25))


def test_gumbel_has_its_mean_and_variance():
    rng = random.Random(0)
    draws = [gumbel(rng) for _ in range(20_000)]
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / len(draws)
    assert mean == pytest.approx(0.5772, abs=5 * math.sqrt(math.pi**2 / 6 / len(draws)))
    assert variance == pytest.approx(math.pi**2 / 6, rel=0.1)
