"""The stateless noise: its distribution, and that a draw depends on nothing but its identity."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scripts.common.gumbel import gumbel, sample

DRAWS = 40_000


def test_noise_follows_the_gumbel_distribution():
    noise = gumbel(torch.arange(2000), step=3, vocabulary=50).flatten().numpy()
    assert stats.kstest(noise, "gumbel_r").pvalue > 0.001


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_samples_follow_the_softmax(temperature):
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    expected = (logits.double() / temperature).softmax(-1) * DRAWS
    tokens = sample(logits.expand(DRAWS, -1), torch.full((DRAWS,), temperature), torch.arange(DRAWS), step=0)
    found = torch.bincount(tokens, minlength=5)
    assert stats.chisquare(found.numpy(), expected.numpy()).pvalue > 0.001


def test_successive_steps_and_successive_seeds_are_uncorrelated():
    first, second = gumbel(torch.arange(4000), 0, 8), gumbel(torch.arange(4000), 1, 8)
    next_seed = gumbel(torch.arange(1, 4001), 0, 8)
    for other in (second, next_seed):
        assert abs(stats.pearsonr(first.flatten().numpy(), other.flatten().numpy()).statistic) < 0.02


@settings(max_examples=50, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**62 + 100), min_size=1, max_size=8),
    step=st.integers(0, 4096),
    vocabulary=st.integers(1, 300),
)
def test_a_row_is_the_same_alone_and_in_company_and_always_finite(seeds, step, vocabulary):
    together = gumbel(torch.tensor(seeds), step, vocabulary)
    assert together.isfinite().all()
    for row, seed in enumerate(seeds):
        assert torch.equal(together[row], gumbel(torch.tensor([seed]), step, vocabulary)[0])


def test_noise_of_a_token_does_not_depend_on_the_size_of_the_vocabulary():
    seeds = torch.tensor([5, 2**61])
    assert torch.equal(gumbel(seeds, 1, 10), gumbel(seeds, 1, 100)[:, :10])


def test_noise_is_that_of_the_hash_in_exact_integers():
    """Against plain unsigned arithmetic: a change of the hash would change every response of the engine."""
    for seed, step, token in [(1, 0, 0), (1, 7, 4), (2**62 - 1, 0, 1), (2**62 + 8, 2047, 127)]:
        row = splitmix64(seed + 0x9E3779B97F4A7C15 * (step + 1))
        bits = splitmix64(row + 0xD1342543DE82EF95 * (token + 1)) >> 12
        expected = -math.log(-math.log((bits + 0.5) / 2**52))
        assert gumbel(torch.tensor([seed]), step, 128)[0, token].item() == pytest.approx(expected, abs=1e-12)


def splitmix64(x: int) -> int:
    x &= 2**64 - 1
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
    return x ^ (x >> 31)
