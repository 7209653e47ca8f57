"""The prompt map: topics of a known truth, vectors of a real encoder, and the same bytes for the same prompts."""

import re

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.report import plot_prompts, prompt_topics
from scripts.report.csv_tables import read_csv

from .conftest import write_prompts

TEXTS = [
    f"{verb} {noun}" for noun in ("fox forest animal", "hammer garage tool") for verb in ("see", "find", "buy") * 6
]


def test_topics_are_named_by_the_words_they_have_more_of():
    weights, words = prompt_topics.word_weights(TEXTS)
    condensed = prompt_topics.condense(weights, seed=1)
    topic = prompt_topics.cluster(condensed, 2, seed=1)
    assert len(set(topic[:18])) == len(set(topic[18:])) == 1 != len(set(topic))
    names = [set(name.split(" · ")) for name in prompt_topics.name_topics(weights, words, topic)]
    assert sorted(names, key=min) == [{"animal", "fox", "forest"}, {"garage", "hammer", "tool"}]


def test_the_largest_topic_comes_first():
    vectors = np.repeat([[0.0, 1.0], [1.0, 0.0]], [3, 9], axis=0)
    assert prompt_topics.cluster(vectors, 2, seed=1).tolist() == [1] * 3 + [0] * 9


def test_texts_of_stop_words_alone_have_words_too():
    _, words = prompt_topics.word_weights(["what is it", "who are you"])
    assert set(words) == {"what", "is", "it", "who", "are", "you"}


def test_near_prompts_lie_near(tmp_path):
    condensed = prompt_topics.condense(prompt_topics.word_weights(TEXTS)[0], seed=1)
    places = prompt_topics.flatten(condensed, seed=1)
    middles = [places[:18].mean(axis=0), places[18:].mean(axis=0)]
    for i, place in enumerate(places):
        distances = [np.linalg.norm(place - middle) for middle in middles]
        assert np.argmin(distances) == i // 18


def test_the_map_is_a_picture_with_its_sources_and_topics(study):
    words = (study.figures / "figure5_prompts.svg").read_text()
    assert words.count("<image") >= 2  # the points are not 80 paths, but an image in each panel
    for label in ("by source", "by topic", "zoo", "shop"):
        assert f">{label}<" in words
    rows = read_csv(study.tables / "figure5_topics.csv", plot_prompts.COLUMNS).to_dicts()
    assert sum(row["prompts"] for row in rows) == 80
    assert {row["vectors"] for row in rows} == {"TF-IDF"}
    apart = sum(row["prompts"] * row["main_source_percent"] for row in rows) / 80
    assert apart > 80  # the two collections share numbers and little else
    assert all(f">{row['words']}<" in words for row in rows)


def test_the_same_prompts_give_the_same_bytes(study, tmp_path):
    again = plot_prompts.Args(
        study.folder / "data/prompts/pool.parquet",
        *(tmp_path / name for name in ("t.csv", "figure5_prompts.svg", "p.csv")),
    )
    plot_prompts.main(again)
    assert again.figure.read_bytes() == (study.figures / "figure5_prompts.svg").read_bytes()
    assert again.data.read_bytes() == (study.figures / "figure5_prompts.csv").read_bytes()
    assert again.topics.read_bytes() == (study.tables / "figure5_topics.csv").read_bytes()


def test_one_prompt_is_no_map(tmp_path):
    write_prompts(tmp_path / "pool.parquet", n=0)
    with pytest.raises(StudyError, match="0 prompts make no map"):
        plot_prompts.main(plot_prompts.Args(*(tmp_path / name for name in ("pool.parquet", "t.csv", "f.svg", "p.csv"))))


# --- a real encoder of random weights ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *sorted({word for text in TEXTS for word in text.split()})]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder = tmp_path_factory.mktemp("encoder") / "tiny-bert"
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    fast.save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **shape)).save_pretrained(folder)
    return folder


def test_vectors_of_an_encoder_are_means_over_tokens_whatever_the_batch(encoder):
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = [*TEXTS, "see", " ".join(["fox"] * 60)]  # of several lengths, one beyond the limit
    vectors = prompt_topics.embed(texts, encoder)
    small = prompt_topics.embed(texts, encoder, batch_tokens=8)
    np.testing.assert_allclose(vectors, small, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    model, tokenizer = AutoModel.from_pretrained(encoder).eval(), AutoTokenizer.from_pretrained(encoder)
    with torch.inference_mode():
        alone = model(**tokenizer(texts[0], return_tensors="pt")).last_hidden_state[0].mean(0).numpy()
    np.testing.assert_allclose(vectors[0], alone / np.linalg.norm(alone), atol=1e-5)


def test_the_map_with_an_embedding_model_names_it(encoder, tmp_path):
    write_prompts(tmp_path / "pool.parquet", n=10)
    args = plot_prompts.Args(*(tmp_path / name for name in ("pool.parquet", "t.csv", "f.svg", "p.csv")), encoder)
    assert plot_prompts.main(args)["vectors"] == "tiny-bert"
    assert set(read_csv(args.topics, plot_prompts.COLUMNS)["vectors"]) == {"tiny-bert"}
    assert re.search(r"<image[^>]*data:image/png", args.figure.read_text())
