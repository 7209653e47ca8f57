"""N-grams against the plainest way to make them, whatever the batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scripts.data.ngrams import ngrams

texts_of_words = st.lists(st.lists(st.integers(0, 3), max_size=8), max_size=8)


@given(texts_of_words, st.integers(1, 5))
def test_grams_are_equal_where_the_words_are(texts, n):
    words = np.array([word for text in texts for word in text], dtype=np.uint64)
    offsets = np.cumsum([0, *map(len, texts)])
    found_texts, found = ngrams(words, offsets, n)
    expected = [
        (i, tuple(text[start : start + n]))
        for i, text in enumerate(texts)
        for start in range(max(len(text) - n + 1, 1 if text else 0))
    ]
    assert found_texts.tolist() == [i for i, _ in expected]
    by_gram = {}
    for gram, (_, said) in zip(found.tolist(), expected, strict=True):
        assert by_gram.setdefault(gram, said) == said
    assert len(by_gram) == len({said for _, said in expected})


def test_a_slice_of_a_larger_column_is_a_column():
    words = np.arange(10, dtype=np.uint64)
    whole = ngrams(words, np.array([0, 4, 10]), 3)[1]
    part = ngrams(words[4:], np.array([4, 10]), 3)[1]
    assert part.tolist() == whole[2:].tolist()
