"""RewardBench: which subsets make a section, with the official weights (the numbers of prompts that they stand for).

Weights and counts differ for math-prm alone: its 447 rows weigh as much as the six programming subsets together.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, mean, weighted_mean

SECTIONS = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
        "donotanswer": 136,
    },
    "Reasoning": {
        "math-prm": 984,
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
    },
}


def by_section(subsets: Iterable[str]) -> dict[str, list[str]]:
    """The subsets that are there, by section, in the official order; sections without any are left out.

    Raises:
        StudyError: a subset belongs to no section.
    """
    subsets = set(subsets)
    known = {subset for weights in SECTIONS.values() for subset in weights}
    if unknown := sorted(subsets - known):
        raise StudyError(
            f"RewardBench subset '{unknown[0]}' belongs to no section; known are {', '.join(sorted(known))}."
        )
    found = {section: [subset for subset in weights if subset in subsets] for section, weights in SECTIONS.items()}
    return {section: present for section, present in found.items() if present}


def section_estimates(outcomes: Mapping[str, np.ndarray], seed: int) -> dict[str, Estimate]:
    """The weighted mean outcome of each section that has a subset.

    Args:
        outcomes: for each subset one number a pair, such as 1 right, 1/2 tie, 0 wrong; shape (pairs,).

    Raises:
        StudyError: a subset belongs to no section.
    """
    return {
        section: weighted_mean(
            [outcomes[subset] for subset in present], [SECTIONS[section][subset] for subset in present], seed
        )
        for section, present in by_section(outcomes).items()
    }


def subset_estimates(outcomes: Mapping[str, np.ndarray], seed: int) -> dict[tuple[str, str], Estimate]:
    """(section, subset) -> the mean outcome of the subset; arguments and errors as above."""
    return {
        (section, subset): mean(outcomes[subset], seed)
        for section, present in by_section(outcomes).items()
        for subset in present
    }
