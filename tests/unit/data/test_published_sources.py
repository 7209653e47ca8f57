"""What the adapters of single sources do with rows whose answer is known."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from scripts.common import config, tables
from scripts.common.catalogue import read_catalogue
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT
from scripts.data import retrieve
from scripts.data.standardise_preferences import Args, main
from tests.unit.data import reference
from tests.unit.data.conftest import standardise
from tests.unit.data.hub import Repository

PRESET = "presets/rlhflow-standard.yaml"


def comment_pair(**changes):
    row = {
        "history": "q",
        "human_ref_A": "a",
        "human_ref_B": "b",
        "score_A": 6,
        "score_B": 2,
        "labels": 1,
        "score_ratio": 3.0,
    }
    return row | changes


@pytest.mark.parametrize(
    ("changes", "chosen", "defect"),
    [
        ({}, "a", None),
        ({"labels": 0, "score_A": 2, "score_B": 6}, "b", None),
        ({"labels": 0}, "b", "contradicted_label"),
        ({"score_B": 6}, "a", "equal_score"),
        ({"score_ratio": 2.0}, "a", "low_score_ratio"),  # the paper: ratio > 2
        ({"score_ratio": float("nan")}, "a", "null_value"),
        ({"labels": 2}, "b", "unparsable"),
    ],
)
def test_shp_by_votes(tmp_path, changes, chosen, defect):
    ((made,), _) = standardise(tmp_path, "shp", [comment_pair(**changes)])
    assert (made["chosen"], made["defect"]) == (chosen, defect)


def test_shp_keeps_the_five_largest_ratios_of_a_post(tmp_path):
    rows = [comment_pair(human_ref_A=f"a{ratio}", score_ratio=float(ratio)) for ratio in range(2, 11)]
    rows += [comment_pair(history="p"), comment_pair(human_ref_A="a10", score_ratio=10.0)]  # the last one again
    pairs, _ = standardise(tmp_path, "shp", rows)
    defects = {p["chosen"]: p["defect"] for p in pairs if p["prompt"] == reference.user("q")}
    assert defects == {
        "a2": "low_score_ratio",
        **{f"a{ratio}": "beyond_five_pairs" for ratio in (3, 4, 5)},
        **{f"a{ratio}": None for ratio in (6, 7, 8, 9, 10)},
    }
    assert len(pairs) == len(rows)
    assert [p["defect"] for p in pairs if p["prompt"] == reference.user("p")] == [None]


def test_code_responses_by_their_models_mean_rating(tmp_path):
    row = {
        "instruction": "q",
        "preference": "code-style",
        "responses": [{"model": m, "response": f"by {m}"} for m in "wxyz"],
        "annotations": [
            {"model": m, "rating": rating, "rationale": "r"}
            for m, rating in [("x", "2"), ("w", "4"), ("w", "5"), ("y", "N/A")]
        ],
    }
    pairs, _ = standardise(tmp_path, "code_ultrafeedback", [row])
    rated = {(p["chosen"], p["rejected"], p["chosen_score"], p["rejected_score"]) for p in pairs if p["defect"] is None}
    assert rated == {("by w", "by x", 4.5, 2.0)}
    assert [p["defect"] for p in pairs].count("null_value") == 5  # y has no number, z no rating


@pytest.mark.parametrize(
    ("scores", "defect"),
    [
        ((8.0, 5.5), None),
        ((5.0, 5.0), "equal_score"),
        ((5.0, 8.0), "contradicted_label"),
        ((None, 8.0), "null_value"),
    ],
)
def test_rated_mathematics(tmp_path, scores, defect):
    row = {"instruction": "1+1?", "chosen_response": "2", "rejected_response": "3"}
    row |= {"chosen_rating": scores[0], "rejected_rating": scores[1]}
    ((made,), _) = standardise(tmp_path, "argilla_math", [row])
    assert (made["chosen"], made["rejected"], made["defect"]) == ("2", "3", defect)
    assert (made["chosen_score"], made["rejected_score"]) == scores


@pytest.mark.parametrize(
    ("changes", "defect"),
    [
        ({}, None),
        ({"status": "swapped"}, None),
        ({"status": "tie"}, "equal_score"),
        ({"status": "tie", "chosen_score": None, "rating": None}, "equal_score"),  # a tie for want of ratings
        ({"in_gsm8k_train": True}, "in_gsm8k_train"),
        ({"chosen_score": 6.0}, "contradicted_label"),
        ({"rating": [9.0, None]}, "null_value"),
        ({"rating": [9.0]}, "null_value"),
        ({"status": None}, "null_value"),
    ],
)
def test_orca_by_status_and_ratings(tmp_path, changes, defect):
    row = {
        "system": "be brief",
        "input": "q",
        "chosen": "good",
        "rejected": "bad",
        "rating": [7.0, 9.0],
        "status": "unchanged",
        "chosen_score": 9.0,
        "in_gsm8k_train": False,
    } | changes
    ((made,), _) = standardise(tmp_path, "distilabel_orca", [row])
    assert made["defect"] == defect
    assert made["prompt"] == [{"role": "system", "content": "be brief"}, *reference.user("q")]
    if not changes:
        assert (made["chosen_score"], made["rejected_score"]) == (9.0, 7.0)


@pytest.mark.parametrize("system", [None, "", " \n"])
def test_orca_without_a_system_message(tmp_path, system):
    row = {"system": system, "input": "q", "chosen": "good", "rejected": "bad", "rating": [7.0, 9.0]}
    row |= {"status": "unchanged", "chosen_score": 9.0, "in_gsm8k_train": False}
    ((made,), _) = standardise(tmp_path, "distilabel_orca", [row])
    assert (made["prompt"], made["defect"]) == (reference.user("q"), None)


def dialogue(*said):
    speakers = ["user", "assistant"] * len(said)
    return [{"role": role, "content": text} for role, text in zip(speakers, said, strict=False)]


@pytest.mark.parametrize(
    ("chosen", "rejected", "ratings", "defect"),
    [
        (dialogue("a", "b", "c", "good"), dialogue("a", "b", "c", "bad"), (5, 2), None),
        (dialogue("a", "b", "c", "good"), dialogue("a", "x", "c", "bad"), (5, 2), "contexts_differ"),
        (dialogue("a", "b", "c", "good"), dialogue("c", "bad"), (5, 2), "contexts_differ"),
        (dialogue("a", "b", "c"), dialogue("a", "b", "c", "bad"), (5, 2), "roles_do_not_alternate"),
        (dialogue("a", "good"), dialogue("a", "\n"), (5, 2), "empty_round"),
        (dialogue("a", "good"), dialogue("a", "bad"), (2, 5), "contradicted_label"),
        (dialogue("a", "good"), dialogue("a", "bad"), (2, 2), "equal_score"),
    ],
)
@pytest.mark.parametrize("source", ["distilabel_capybara", "rlhflow_standard"])
def test_dialogues_share_all_but_the_last_turn(tmp_path, source, chosen, rejected, ratings, defect):
    names = {"distilabel_capybara": "rating_{}", "rlhflow_standard": "{}_score"}[source]
    cast = int if source == "distilabel_capybara" else str
    row = {"chosen": chosen, "rejected": rejected}
    row |= {names.format(side): cast(rating) for side, rating in zip(row, ratings, strict=False)}
    ((made,), _) = standardise(tmp_path, source, [row])
    assert made["defect"] == defect
    assert (made["prompt"], made["chosen"]) == (chosen[:-1], chosen[-1]["content"])


@pytest.mark.parametrize(
    ("kind", "scores", "expected"),
    [
        (pa.null(), (None, None), (None, None, None)),  # HH-RLHF-Helpful-standard
        (pa.float64(), (4.5, 2.0), (4.5, 2.0, None)),
        (pa.string(), ("10", "9"), (10.0, 9.0, None)),  # CodeUltraFeedback-standard; as text "10" < "9"
        (pa.string(), ("4", "N/A"), (4.0, None, "null_value")),
    ],
)
@pytest.mark.parametrize("named", ["score", "rating"])  # Argilla-Math-DPO-standard says rating
def test_the_authors_sets_with_scores_of_any_type(tmp_path, named, kind, scores, expected):
    messages = reference.LAYOUTS["rlhflow_standard"].field("chosen").type
    columns = {f"rejected_{named}": kind, "chosen": messages, "rejected": messages, f"chosen_{named}": kind}
    schema = pa.schema(list(columns.items()))
    row = {"chosen": dialogue("q", "good"), "rejected": dialogue("q", "bad")}
    row |= {f"chosen_{named}": scores[0], f"rejected_{named}": scores[1]}
    raw, output = tmp_path / "raw.parquet", tmp_path / "standard.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=schema), raw)
    assert main(Args(raw, "rlhflow_standard", output)) == {"rows": 1, "pairs": 1}
    (made,) = tables.read_table(output, tables.STANDARD).to_pylist()
    assert (made["chosen_score"], made["rejected_score"], made["defect"]) == expected


@pytest.mark.parametrize(
    ("summaries", "choice", "chosen", "defect"),
    [
        (["good", "bad"], 0, "good", None),
        (["bad", "good"], 1, "good", None),
        (["good", "bad"], 2, "good", "unparsable"),
        (["good", "bad", "worse"], 0, "good", "unparsable"),
        (["good"], 0, "good", "single_response"),
        (["good", None], 0, "good", "null_value"),
    ],
)
def test_summaries_of_a_post(tmp_path, summaries, choice, chosen, defect):
    row = {
        "info": {"id": "i", "post": "long story", "title": "My day", "subreddit": "tifu"},
        "summaries": [{"text": text, "policy": "sup"} for text in summaries],
        "choice": choice,
    }
    ((made,), _) = standardise(tmp_path, "summarisation", [row])
    assert (made["chosen"], made["defect"]) == (chosen, defect)
    assert made["prompt"] == reference.user("SUBREDDIT: r/tifu\n\nTITLE: My day\n\nPOST: long story\n\nTL;DR:")


def test_a_blank_post_is_an_empty_round_and_a_missing_one_a_null(tmp_path):
    rows = [
        {
            "info": {"id": "i", "post": post, "title": "t", "subreddit": "s"},
            "summaries": [{"text": "good", "policy": ""}, {"text": "bad", "policy": ""}],
            "choice": 0,
        }
        for post in (" ", None)
    ]
    pairs, _ = standardise(tmp_path, "summarisation", rows)
    assert sorted(p["defect"] for p in pairs) == ["empty_round", "null_value"]


@pytest.mark.parametrize("source", sorted(set(reference.LAYOUTS)))
def test_every_source_names_the_column_that_is_missing(tmp_path, source):
    schema = reference.LAYOUTS[source]
    needed = "rejected" if "rejected" in schema.names else schema.names[-1]
    raw, output = tmp_path / "raw.parquet", tmp_path / "out.parquet"
    pq.write_table(schema.remove(schema.get_field_index(needed)).empty_table(), raw)
    with pytest.raises(StudyError, match=rf"sources/{source}.sql: there is no column '{needed}'"):
        main(Args(raw, source, output))
    assert not output.exists()


def test_scores_missing_from_a_standard_set_are_named(tmp_path):
    raw = tmp_path / "raw.parquet"
    schema = reference.LAYOUTS["rlhflow_standard"]
    pq.write_table(schema.remove(schema.get_field_index("chosen_score")).empty_table(), raw)
    with pytest.raises(StudyError, match=r"chosen_\(score\|rating\)"):
        main(Args(raw, "rlhflow_standard", tmp_path / "out.parquet"))


def test_the_helpful_subsets_of_hh_rlhf_are_named_by_one_pattern(tmp_path, hub):
    """As the catalogue has it, `subset: helpful-*`."""
    entry = read_catalogue()["preferences"]["hh_rlhf"]
    files = {
        f"{subset}/{split}.jsonl": json.dumps({"chosen": f"{subset} {split}", "rejected": "x"}).encode()
        for subset in ("helpful-base", "helpful-online", "helpful-rejection-sampled", "harmless-base")
        for split in ("train", "test")
    }
    hub.repositories[entry["hub"]] = Repository(files, {"main": "a" * 40})
    output = tmp_path / "raw.parquet"
    assert retrieve.main(retrieve.Args(output, hub=entry["hub"], subset=entry["subset"]))["rows"] == 3
    assert sorted(pq.read_table(output)["chosen"].to_pylist()) == [
        "helpful-base train",
        "helpful-online train",
        "helpful-rejection-sampled train",
    ]


def test_one_adapter_reads_many_sets(tmp_path):
    row = {"chosen": dialogue("q", "good"), "rejected": dialogue("q", "bad")}
    row |= {"chosen_score": "2", "rejected_score": "1"}
    raw, output = tmp_path / "raw.parquet", tmp_path / "standard.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=reference.LAYOUTS["rlhflow_standard"]), raw)
    main(Args(raw, "shp", output, adapter="rlhflow_standard"))
    (made,) = tables.read_table(output, tables.STANDARD).to_pylist()
    assert (made["source"], made["chosen"]) == ("shp", "good")


def test_the_preset_takes_the_authors_own_sets():
    paper, preset = (yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("paper.yaml", PRESET))
    study = config.load(config.merge(paper, preset)).data
    for name in study.mixes["mix2"].sources:
        source = study.preferences[name]
        assert (source.adapter, source.subset, source.minimum_margin) == ("rlhflow_standard", None, 0.0)
        assert source.hub.startswith("RLHFlow/")
        published = config.load(paper).data.preferences[name]
        assert (source.table5, source.completion, source.annotator) == (
            *(published.table5, published.completion, published.annotator),
        )
    assert study.preferences["nectar"] == config.load(paper).data.preferences["nectar"]
    assert list(study.instructions) == ["rlhflow_sft"]
    assert list(study.prompts) == ["rlhflow_iter1", "rlhflow_iter2", "rlhflow_iter3"]


def test_every_source_of_the_paper_has_an_adapter_and_every_adapter_a_reference():
    adapters = {file.stem for file in (ROOT / "scripts/data/sql/sources").glob("*.sql")}
    assert adapters == set(reference.ADAPTERS) == set(reference.LAYOUTS)
