"""Token counts against the tokenizer itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data import count_tokens
from scripts.data.count_tokens import Args, main
from tests.unit.data.conftest import standard_pair


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    """A tokenizer of words and marks that puts a token at the start of every text, as Llama's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "?": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(4)  # as some published tokenizers are saved
    tokenizer.enable_padding(length=9)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", bos_token="<s>").save_pretrained(folder)
    return folder


def counted(folder, tokenizer_folder, pairs):
    standard, output = folder / "standard.parquet", folder / "tokens.parquet"
    tables.write_table(pairs, standard, tables.STANDARD)
    facts = main(Args(standard, tokenizer_folder, output))
    return tables.read_table(output, tables.TOKEN_COUNTS).to_pylist(), facts


def test_known_counts(tmp_path, tokenizer_folder):
    talk = [{"role": r, "content": c} for r, c in (("user", "one two"), ("assistant", "three."), ("user", "one two"))]
    pair = standard_pair(talk, "yes, yes, yes, yes", "")
    (row,), facts = counted(tmp_path, tokenizer_folder, [pair])
    assert row == {"pair_id": pair["pair_id"], "prompt_tokens": 6, "chosen_tokens": 7, "rejected_tokens": 0}
    assert facts == {"pairs": 1, "texts": 4, "tokens": 11}  # "one two" is tokenized once


def test_missing_texts_have_no_tokens_and_repeated_pairs_one_row(tmp_path, tokenizer_folder):
    pair = standard_pair(None, "a b", None, defect="null_value")
    rows, _ = counted(tmp_path, tokenizer_folder, [pair, pair])
    assert rows == [{"pair_id": pair["pair_id"], "prompt_tokens": 0, "chosen_tokens": 2, "rejected_tokens": 0}]


@settings(max_examples=20, deadline=None)
@given(data=st.data(), batch=st.integers(1, 5))
def test_agrees_with_the_tokenizer_whatever_the_batch(data, batch, tokenizer_folder, tmp_path_factory):
    from transformers import AutoTokenizer

    text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
    pairs = [standard_pair(*three) for three in data.draw(st.lists(st.tuples(text, text, text), max_size=6))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count_tokens, "BATCH", batch)
        rows, _ = counted(tmp_path_factory.mktemp("counts"), tokenizer_folder, pairs)
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()

    def count(text):
        return len(tokenizer.encode(text, add_special_tokens=False))

    expected = {
        p["pair_id"]: (count(p["prompt"][0]["content"]), count(p["chosen"]), count(p["rejected"])) for p in pairs
    }
    assert {r["pair_id"]: (r["prompt_tokens"], r["chosen_tokens"], r["rejected_tokens"]) for r in rows} == expected
    assert [r["pair_id"] for r in rows] == sorted(expected)


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"empty/tokenizer.json: holds no tokenizer"):
        counted(tmp_path, tmp_path / "empty", [standard_pair()])
