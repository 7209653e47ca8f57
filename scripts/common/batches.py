"""Batches whose shape does not depend on the company a sequence keeps, so that its result does not either (promise 1).

A matrix product may add up its terms in another order when its shape changes, and the last bits of the result change
with it. Two habits keep them still: a sequence is padded to a width that its own length decides, and a batch never has
so few rows that the library takes its path for small matrices. On the CPU this was measured to give the same bits in
any batch; on other hardware it brings differences down, and nothing is promised.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

MINIMUM_ROWS = 16
"""Batches with fewer sequences are filled up with copies of the first; with 1 or 2 rows the last bits differed."""


@dataclass(frozen=True)
class Batch:
    """Sequences to be computed together: `indices` into the caller's list, all padded to `width` tokens."""

    indices: list[int]
    width: int

    @property
    def filled(self) -> list[int]:
        """`indices`, with copies of the first up to the minimum number of rows; the caller drops the extra results."""
        return self.indices + self.indices[:1] * (MINIMUM_ROWS - len(self.indices))


def padded_width(length: int) -> int:
    """The width for a sequence of `length` tokens: at most 15 tokens or an eighth of its length more.

    >>> [padded_width(length) for length in (1, 16, 17, 250, 1000)]
    [16, 16, 32, 256, 1024]
    """
    step = max(16, 2 ** (length.bit_length() - 4))
    return -(-length // step) * step


def batches(lengths: Sequence[int], token_budget: int, extra: int = 0) -> list[Batch]:
    """Group sequences of equal width, the widest first, so that rows x (width + extra) stays within `token_budget`.

    Args:
        lengths: tokens of each sequence.
        token_budget: padded tokens of one batch; exceeded only where the minimum number of rows needs it.
        extra: further tokens each row will take, such as those to be generated.
    """
    by_width: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        by_width[padded_width(length)].append(index)
    found = []
    for width in sorted(by_width, reverse=True):
        rows = max(MINIMUM_ROWS, token_budget // (width + extra))
        same = by_width[width]
        found += [Batch(same[start : start + rows], width) for start in range(0, len(same), rows)]
    return found
