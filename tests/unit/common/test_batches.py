"""Batches: complete, within budget, and of a width that a sequence's own length decides."""

from hypothesis import given
from hypothesis import strategies as st

from scripts.common.batches import MINIMUM_ROWS, batches, padded_width

LENGTHS = st.lists(st.integers(1, 3000), max_size=200)


@given(lengths=LENGTHS, budget=st.integers(1, 20_000), extra=st.integers(0, 500))
def test_every_sequence_is_in_one_batch_of_its_own_width_within_the_budget(lengths, budget, extra):
    found = batches(lengths, budget, extra)
    assert sorted(i for batch in found for i in batch.indices) == list(range(len(lengths)))
    for batch in found:
        assert {padded_width(lengths[i]) for i in batch.indices} == {batch.width}
        assert len(batch.indices) <= MINIMUM_ROWS or len(batch.indices) * (batch.width + extra) <= budget
        assert len(batch.filled) >= MINIMUM_ROWS
        assert batch.filled[: len(batch.indices)] == batch.indices


@given(st.integers(1, 200_000))
def test_padding_is_bounded(length):
    width = padded_width(length)
    assert length <= width <= length + max(15, length / 8)


def test_widest_first():
    assert [batch.width for batch in batches([5, 100, 40], 1000)] == [112, 48, 16]
