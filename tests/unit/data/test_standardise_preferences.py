"""Each source's SQL against plain Python on random rows, known answers, and files that are not what they should be."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.data.standardise_preferences import Args, main
from tests.unit.data import reference
from tests.unit.data.conftest import standardise

words = st.none() | st.sampled_from(["", " ", "a", "b ", " A", "a\n\nb", 'it\'s "so"', "\n\nHuman: x", "é\u00a0"])
messy_dialogues = st.lists(
    st.sampled_from(
        ["\n\nHuman:", "\n\nAssistant:", "\n\nHuman: a", "\n\nAssistant: b", " c", "\n", "\n\nAssistant: "]
    ),
    max_size=5,
).map("".join)
tidy_dialogues = st.tuples(
    st.sampled_from(["", "\n\nHuman: a\n\nAssistant: b"]), st.sampled_from("ab"), st.sampled_from("ab")
)
tidy_dialogues = tidy_dialogues.map(lambda said: f"{said[0]}\n\nHuman: {said[1]}\n\nAssistant: {said[2]}")
open_dialogues = st.sampled_from(["\n\nHuman: a", "\n\nHuman: a\n\nAssistant: b\n\nHuman: c"]).map(
    "{}\n\nAssistant: ".format
)
labels = st.none() | st.sampled_from([0, 1, 2])
flags = st.none() | st.booleans()
scores = st.none() | st.sampled_from([1.0, 2.5, 4.25, float("nan"), float("inf")])
ratings = st.none() | st.integers(0, 4)
votes = st.none() | st.integers(2, 9)
ratios = st.none() | st.sampled_from([1.5, 2.0, 2.5, 3.0, 4.0, float("nan")])
text_ratings = st.sampled_from([None, "1", "4", "4.5", "5", "N/A"])
models = st.none() | st.sampled_from(["m", "n"])
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", None]), "content": words}),
    max_size=4,
)
answered = st.sampled_from(["q", "p"]).flatmap(
    lambda question: words.map(
        lambda answer: [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    )
)
upvoted = st.fixed_dictionaries(
    {
        "history": st.just("q"),
        "human_ref_A": st.sampled_from("abcdef"),
        "human_ref_B": st.just("z"),
        "score_A": st.just(6),
        "score_B": st.just(2),
        "labels": st.just(1),
        "score_ratio": st.sampled_from([2.5, 3.0]),
    }
)
summaries = st.lists(st.fixed_dictionaries({"text": words, "policy": words}), max_size=3)
turns = st.fixed_dictionaries({"from": st.sampled_from(["user", "assistant", "system", None]), "value": words})
ROWS = {
    "hh_rlhf": st.fixed_dictionaries(
        {side: st.none() | messy_dialogues | tidy_dialogues for side in ("chosen", "rejected")}
    ),
    "ultrafeedback": st.fixed_dictionaries(
        {
            "source": words,
            "instruction": words,
            "completions": st.none()
            | st.lists(
                st.fixed_dictionaries({"model": words, "response": words, "fine-grained_score": scores}), max_size=4
            ),
        }
    ),
    "helpsteer": st.fixed_dictionaries(
        {"prompt": words, "response": words, "helpfulness": ratings, "correctness": ratings}
    ),
    "pku_saferlhf": st.fixed_dictionaries(
        {
            "prompt": words,
            "response_0": words,
            "response_1": words,
            "is_response_0_safe": flags,
            "is_response_1_safe": flags,
            "better_response_id": labels,
            "safer_response_id": labels,
        }
    ),
    "ultrainteract": st.fixed_dictionaries(
        {"trajectory": st.none() | st.lists(turns, max_size=4), "chosen": words, "rejected": words}
    ),
    "nectar": st.fixed_dictionaries(
        {
            "prompt": st.none() | messy_dialogues | open_dialogues,
            "answers": st.none()
            | st.lists(
                st.fixed_dictionaries(
                    {"answer": words, "model": words, "rank": st.none() | st.sampled_from([1.0, 2.0, 3.0])}
                ),
                max_size=3,
            ),
        }
    ),
    "shp": st.fixed_dictionaries(
        {
            "history": words,
            "human_ref_A": words,
            "human_ref_B": words,
            "score_A": votes,
            "score_B": votes,
            "labels": labels,
            "score_ratio": ratios,
        }
    )
    | upvoted,
    "code_ultrafeedback": st.fixed_dictionaries(
        {
            "instruction": words,
            "preference": words,
            "responses": st.none() | st.lists(st.fixed_dictionaries({"model": models, "response": words}), max_size=3),
            "annotations": st.none()
            | st.lists(
                st.fixed_dictionaries({"model": models, "rating": text_ratings, "rationale": words}),
                max_size=4,
            ),
        }
    ),
    "argilla_math": st.fixed_dictionaries(
        {
            "instruction": words,
            "chosen_response": words,
            "chosen_rating": scores,
            "rejected_response": words,
            "rejected_rating": scores,
        }
    ),
    "distilabel_orca": st.fixed_dictionaries(
        {
            "system": words,
            "input": words,
            "chosen": words,
            "rejected": words,
            "rating": st.none() | st.lists(scores, max_size=3),
            "status": st.sampled_from([None, "tie", "swapped", "unchanged"]),
            "chosen_score": scores,
            "in_gsm8k_train": flags,
        }
    ),
    "distilabel_capybara": st.fixed_dictionaries(
        {side: st.none() | messages | answered for side in ("chosen", "rejected")}
        | dict.fromkeys(("rating_chosen", "rating_rejected"), ratings)
    ),
    "rlhflow_standard": st.fixed_dictionaries(
        {side: st.none() | messages | answered for side in ("chosen", "rejected")}
        | dict.fromkeys(("chosen_score", "rejected_score"), text_ratings)
    ),
    "summarisation": st.fixed_dictionaries(
        {
            "info": st.none() | st.fixed_dictionaries({"id": words, "post": words, "title": words, "subreddit": words}),
            "summaries": st.none() | summaries,
            "choice": labels,
        }
    ),
}


def comparable(pairs):
    """Pairs without identities, in an order that ignores theirs; a pair that can't be read counts by its defect."""
    kept = []
    for made in pairs:
        if isinstance(made, dict):
            made = {k: v for k, v in made.items() if k not in ("pair_id", "prompt_id", "source")}
        kept.append(repr(made))
    return sorted(kept)


def defect_alone(pairs):
    """Where texts are missing or can't be told apart, only the reason is promised."""
    silent = ("null_value", "unparsable")
    return [p["defect"] if isinstance(p, dict) and p["defect"] in silent else p for p in pairs]


@pytest.mark.parametrize("source", reference.ADAPTERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_adapter_agrees_with_plain_python(source, data):
    rows = data.draw(st.lists(ROWS[source], max_size=8))
    expected = list(reference.ADAPTERS[source](rows))
    with TemporaryDirectory() as folder:
        pairs, facts = standardise(Path(folder), source, rows)
    assert comparable(defect_alone(pairs)) == comparable(defect_alone(expected))
    assert facts == {"rows": len(rows), "pairs": len(expected)}


@settings(max_examples=40, deadline=None)
@given(st.lists(upvoted, min_size=6, max_size=20), st.randoms(use_true_random=False))
def test_five_pairs_of_a_post_whatever_their_order(rows, random):
    with TemporaryDirectory() as folder:
        pairs, _ = standardise(Path(folder), "shp", rows)
        random.shuffle(rows)
        assert standardise(Path(folder), "shp", rows)[0] == pairs
    assert comparable(pairs) == comparable(reference.shp(rows))
    kept = {p["pair_id"] for p in pairs if p["defect"] is None}
    assert 0 < len(kept) <= 5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(blacklist_categories=["Cs"])).map(lambda t: t.strip(reference.MESSAGE_SPACE)),
        min_size=1,
        max_size=4,
    ).filter(lambda said: len(said) % 2 and all(said) and not any("\n\n" in text for text in said)),
    st.sampled_from(["good", "fine"]),
)
def test_dialogues_survive_rendering_and_parsing(said, answer):
    speakers = ["Human", "Assistant"] * len(said)
    context = "".join(f"\n\n{speaker}: {text}" for speaker, text in zip(speakers, said, strict=False))
    rows = [{"chosen": f"{context}\n\nAssistant: {answer}", "rejected": f"{context}\n\nAssistant: bad"}]
    with TemporaryDirectory() as folder:
        ((made,), _) = standardise(Path(folder), "hh_rlhf", rows)
    assert [turn["content"] for turn in made["prompt"]] == said
    assert [turn["role"] for turn in made["prompt"]] == (["user", "assistant"] * len(said))[: len(said)]
    assert (made["chosen"], made["rejected"], made["defect"]) == (answer, "bad", None)


def test_all_comparisons_of_four_completions(tmp_path):
    completions = [
        {"model": "m", "response": r, "fine-grained_score": s}
        for r, s in zip("abcd", (1.0, 4.5, 3.0, 3.0), strict=True)
    ]
    pairs, _ = standardise(tmp_path, "ultrafeedback", [{"source": "x", "instruction": "q", "completions": completions}])
    ordered = {(p["chosen"], p["rejected"]): p["defect"] for p in pairs}
    assert ordered == {
        ("b", "a"): None,
        ("c", "a"): None,
        ("d", "a"): None,
        ("b", "c"): None,
        ("b", "d"): None,
        ("c", "d"): "equal_score",
    }


@pytest.mark.parametrize(
    ("safe", "better", "safer", "chosen", "defect"),
    [
        ((True, True), 1, 0, "one", None),  # both safe: helpfulness
        ((False, False), 1, 0, "zero", None),  # both unsafe: safety
        ((True, False), 1, 0, "zero", None),  # one safe: safety, whatever is more helpful
        ((True, False), 0, 1, "one", "contradicted_label"),
        ((False, True), 0, 0, "zero", "contradicted_label"),
    ],
)
def test_safety_before_helpfulness(tmp_path, safe, better, safer, chosen, defect):
    row = {
        "prompt": "q",
        "response_0": "zero",
        "response_1": "one",
        "is_response_0_safe": safe[0],
        "is_response_1_safe": safe[1],
        "better_response_id": better,
        "safer_response_id": safer,
    }
    ((made,), _) = standardise(tmp_path, "pku_saferlhf", [row])
    assert (made["chosen"], made["defect"]) == (chosen, defect)


HISTORY = "\n\nHuman: a\n\nAssistant: b"


@pytest.mark.parametrize(
    ("chosen", "rejected", "defect"),
    [
        ("\n\nHuman: q\n\nAssistant: good", "\n\nHuman: q\n\nAssistant: bad", None),
        ("\n\nHuman: q\n\nAssistant: good", "\n\nHuman: p\n\nAssistant: bad", "contexts_differ"),
        (f"{HISTORY}\n\nHuman: q\n\nAssistant: good", "\n\nHuman: q\n\nAssistant: bad", "contexts_differ"),
        ("\n\nHuman: q\n\nAssistant: good", "\n\nHuman: q\n\nAssistant:  \n", "empty_round"),
        ("\n\nHuman:\n\nAssistant: good", "\n\nHuman:\n\nAssistant: bad", "empty_round"),
        ("\n\nHuman: q\n\nHuman: q\n\nAssistant: good", "\n\nHuman: q\n\nAssistant: bad", "roles_do_not_alternate"),
        ("\n\nHuman: q", "\n\nHuman: q\n\nAssistant: bad", "roles_do_not_alternate"),
        (HISTORY + "\n\nAssistant: good", HISTORY + "\n\nAssistant: bad", "roles_do_not_alternate"),
        ("Human: q\n\nAssistant: good", "\n\nHuman: q\n\nAssistant: bad", "unparsable"),
        (None, "\n\nHuman: q\n\nAssistant: bad", "null_value"),
    ],
)
def test_defects_of_dialogues(tmp_path, chosen, rejected, defect):
    ((made,), _) = standardise(tmp_path, "hh_rlhf", [{"chosen": chosen, "rejected": rejected}])
    assert made["defect"] == defect


@pytest.mark.parametrize(
    ("ranks", "chosen", "rejected", "defect"),
    [
        ((3.0, 1.0, 2.0), "b", "a", None),
        ((2.0, 1.0, 1.0, 2.0), "b", "a", None),  # of equals the first
        ((2.0, 2.0), "a", "a", "equal_score"),
        ((1.0,), "a", "a", "single_response"),
        ((), None, None, "single_response"),
        ((1.0, None), None, None, "null_value"),
    ],
)
def test_best_against_worst_rank(tmp_path, ranks, chosen, rejected, defect):
    answers = [{"answer": text, "model": "m", "rank": rank} for text, rank in zip("abcd", ranks, strict=False)]
    ((made,), _) = standardise(tmp_path, "nectar", [{"prompt": "\n\nHuman: q\n\nAssistant: ", "answers": answers}])
    assert made["defect"] == defect
    if defect != "null_value":
        assert (made["prompt"], made["chosen"], made["rejected"]) == (reference.user("q"), chosen, rejected)


def test_identity_is_of_the_content(tmp_path):
    rows = [
        {"trajectory": [{"from": "user", "value": value}], "chosen": chosen, "rejected": rejected}
        for value, chosen, rejected in [
            ("q", "a", "b"),
            ("q", "b", "a"),
            ("q", 'a","b', ""),
            ("q", "a", '","b'),
            ("p", "a", "b"),
        ]
    ]
    pairs, _ = standardise(tmp_path, "ultrainteract", rows)
    assert len({p["pair_id"] for p in pairs}) == 5
    assert len({p["prompt_id"] for p in pairs}) == 2
    assert all(len(p["pair_id"]) == 16 and p["source"] == "ultrainteract" for p in pairs)
    assert standardise(tmp_path, "ultrainteract", rows[::-1])[0] == pairs[::-1]


def test_rows_keep_the_order_of_the_file_however_many_threads_read_it(tmp_path):
    rows = [
        {"trajectory": [{"from": "user", "value": f"q{i}"}], "chosen": "a" * (i % 97), "rejected": "b"}
        for i in range(20_000)
    ]
    raw, output = tmp_path / "raw.parquet", tmp_path / "standard.parquet"
    table = pa.Table.from_pylist(rows, schema=reference.LAYOUTS["ultrainteract"])
    pq.write_table(table, raw, row_group_size=700)
    main(Args(raw, "ultrainteract", output))
    assert [prompt[0]["content"] for prompt in pq.read_table(output)["prompt"].to_pylist()] == [
        row["trajectory"][0]["value"] for row in rows
    ]


@pytest.mark.parametrize("source", ["shp", "helpsteer"])
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_is_grouped_is_sorted_whatever_the_order_of_the_file(source, data):
    rows = data.draw(st.lists(ROWS[source], max_size=8))
    with TemporaryDirectory() as folder:
        pairs, _ = standardise(Path(folder), source, rows)
        assert standardise(Path(folder), source, data.draw(st.permutations(rows)))[0] == pairs


def test_unknown_source_names_those_there_are(tmp_path):
    with pytest.raises(StudyError, match=r"--adapter shp_2: .*hh_rlhf, nectar, pku_saferlhf"):
        main(Args(tmp_path / "raw.parquet", "shp_2", tmp_path / "out.parquet"))


@pytest.mark.parametrize(
    ("source", "rows", "complaint"),
    [
        ("hh_rlhf", [{"chosen": "x", "rejectd": "y"}], r"no column 'rejected' \(VARCHAR\).*rejectd \(VARCHAR\)"),
        ("hh_rlhf", [{"chosen": 1, "rejected": "y"}], "'chosen' is BIGINT, expected VARCHAR"),
        (
            "ultrafeedback",
            [{"instruction": "q", "completions": [{"response": "x", "overall_score": 1.0}]}],
            r"no field 'completions\[\].fine-grained_score'",
        ),
    ],
)
def test_another_layout_is_refused_by_name(tmp_path, source, rows, complaint):
    raw, output = tmp_path / "raw.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.Table.from_pylist(rows), raw)
    with pytest.raises(StudyError, match=complaint) as error:
        main(Args(raw, source, output))
    assert str(raw) in str(error.value)
    assert f"sources/{source}.sql" in str(error.value)
    assert not output.exists()


def test_more_columns_and_other_widths_of_numbers_are_welcome(tmp_path):
    kinds = {
        "extra": pa.bool_(),
        "correctness": pa.int8(),
        "helpfulness": pa.float32(),
        "response": pa.large_string(),
        "prompt": pa.string(),
    }
    schema = pa.schema(list(kinds.items()))
    rows = [
        {"extra": True, "correctness": 4, "helpfulness": h, "response": r, "prompt": "p"}
        for h, r in ((4, "a"), (1, "b"))
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "raw.parquet")
    assert main(Args(tmp_path / "raw.parquet", "helpsteer", tmp_path / "out.parquet")) == {"rows": 2, "pairs": 1}


def test_a_raw_file_cut_short_is_named(tmp_path):
    raw = tmp_path / "raw.parquet"
    pq.write_table(pa.table({"chosen": ["x"] * 1000, "rejected": ["y"] * 1000}), raw)
    raw.write_bytes(raw.read_bytes()[:-20])
    with pytest.raises(StudyError, match=str(raw)):
        main(Args(raw, "hh_rlhf", tmp_path / "out.parquet"))


def test_real_dialogues(tmp_path, hh_file):
    import gzip
    import json

    with gzip.open(hh_file, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    pairs, facts = standardise(tmp_path, "hh_rlhf", rows)
    assert facts == {"rows": 2312, "pairs": 2312}
    assert comparable(defect_alone(pairs)) == comparable(defect_alone(reference.hh_rlhf(rows)))
    assert sum(p["defect"] is None for p in pairs) > 2250
