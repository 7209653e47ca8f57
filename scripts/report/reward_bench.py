"""RewardBench: which subsets make a section, with the official weights (the numbers of prompts that they stand for).

Weights and counts differ for math-prm alone: its 447 rows weigh as much as the six programming subsets together.
"""

from collections.abc import Mapping

import numpy as np

from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, weighted_mean

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


def section_estimates(outcomes: Mapping[str, np.ndarray], seed: int) -> dict[str, Estimate]:
    """The weighted mean outcome of each section that has a subset.

    Args:
        outcomes: for each subset one number a pair, such as 1 right, 1/2 tie, 0 wrong; shape (pairs,).

    Raises:
        StudyError: a subset belongs to no section.
    """
    known = {subset for subsets in SECTIONS.values() for subset in subsets}
    if unknown := sorted(set(outcomes) - known):
        raise StudyError(
            f"RewardBench subset '{unknown[0]}' belongs to no section; known are {', '.join(sorted(known))}."
        )
    found = {}
    for section, subsets in SECTIONS.items():
        present = [subset for subset in subsets if subset in outcomes]
        if present:
            weights = [subsets[subset] for subset in present]
            found[section] = weighted_mean([outcomes[subset] for subset in present], weights, seed)
    return found
