"""Rows of families: every conversation once, within the budget, however they are ordered."""

from hypothesis import given
from hypothesis import strategies as st

from scripts.common.prefixes import Conversation, families, rows

IDS = st.lists(st.integers(0, 2), min_size=1, max_size=8)


@st.composite
def conversations(draw):
    found = [Conversation(ids, draw(st.integers(0, len(ids) - 1))) for ids in draw(st.lists(IDS, max_size=30))]
    return found


@given(given_=conversations(), budget=st.integers(1, 60))
def test_every_conversation_is_in_one_branch_and_rows_keep_the_budget(given_, budget):
    seen = []
    for row in rows(families(given_), budget):
        assert row
        for family in row:
            assert family.branches
            for branch, indices in family.branches.items():
                seen += indices
                for index in indices:
                    assert [*family.prefix, *branch] == list(given_[index].ids)
        single = len(row) == len(row[0].branches) == 1
        assert single or sum(family.tokens for family in row) <= budget
    assert sorted(seen) == list(range(len(given_)))


def test_equal_conversations_are_computed_once():
    found = families([Conversation([1, 2, 3], 2), Conversation([1, 2, 4], 2), Conversation([1, 2, 3], 2)])
    assert [(family.prefix, family.branches) for family in found] == [((1, 2), {(3,): [0, 2], (4,): [1]})]
    assert found[0].tokens == 4


def test_a_family_that_does_not_fit_is_continued_with_its_prefix():
    found = list(rows(families([Conversation([7, 7, i], 2) for i in range(5)]), token_budget=4))
    assert [[(family.prefix, sorted(family.branches)) for family in row] for row in found] == [
        [((7, 7), [(0,), (1,)])],
        [((7, 7), [(2,), (3,)])],
        [((7, 7), [(4,)])],
    ]
