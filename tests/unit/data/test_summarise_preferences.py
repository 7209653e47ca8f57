"""Table 5, the filter report, lengths, gaps and margins, on tables small enough to count by hand."""

import csv
from dataclasses import fields

import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.summarise_preferences import Args, main
from tests.unit.data.conftest import preference_pair, standard_pair

TABLES = [field.name for field in fields(Args) if field.name.startswith(("table5_p", "filter", "length", "margin"))]


def pair(prompt, tokens, chosen="good", source="z", scores=(None, None)):
    row = preference_pair(prompt, chosen, source=source)
    row |= dict(zip(("prompt_tokens", "chosen_tokens", "rejected_tokens"), tokens, strict=True))
    return row | {"chosen_score": scores[0], "rejected_score": scores[1]}


def dropped_pair(prompt, reason, source, scores=(None, None)):
    row = standard_pair(prompt, source=source, scores=scores) | {"reason": reason}
    del row["defect"]
    return row


def summarised(folder, kept, dropped, annotators=("Human", "GPT-4, twice"), rows=("HH-RLHF", "none"), order=None):
    """The tables by name, each a list of rows by column."""
    counts = {
        source: [
            {"pair_id": row["pair_id"]}
            | {name: row.get(name, 200) for name in ("prompt_tokens", "chosen_tokens", "rejected_tokens")}
            for row in (*kept[source], *dropped[source])
        ]
        for source in kept
    }
    written = {
        "preferences": (kept, tables.PREFERENCES),
        "dropped": (dropped, tables.DROPPED),
        "tokens": (counts, tables.TOKEN_COUNTS),
    }
    for name, (sources, contract) in written.items():
        for source, content in sources.items():
            tables.write_table(content, folder / name / f"{source}.parquet", contract)
    main(
        Args(
            **{name: tuple(folder / name / f"{source}.parquet" for source in order or kept) for name in ("dropped",)},
            **{
                name: tuple(folder / name / f"{source}.parquet" for source in kept)
                for name in ("preferences", "tokens")
            },
            completions=("LLM",) * len(kept),
            annotators=annotators,
            table5_rows=rows,
            max_tokens=256,
            **{name: folder / f"{name}.csv" for name in TABLES},
        )
    )
    return {name: list(csv.DictReader((folder / f"{name}.csv").open())) for name in TABLES}


KEPT = {
    "z": [pair("q", (1, 2, 3), "a"), pair("q", (2, 2, 3), "b")],
    "a": [],
}
DROPPED = {
    "z": [dropped_pair(f"p{i}", "too_long" if i else "duplicate", "z") for i in range(6)],
    "a": [dropped_pair("p", "equal_score", "a")],
}


def test_table_5_stands_beside_the_papers(tmp_path):
    z, a = summarised(tmp_path, KEPT, DROPPED)["table5_preference_data"]  # the order of the study
    measured = {"prompts": "1", "prompt_tokens": "1.5", "chosen_tokens": "2.0", "rejected_tokens": "3.0", "pairs": "2"}
    assert z.items() >= {**measured, "completion": "LLM", "annotator": "Human", "paper": "HH-RLHF"}.items()
    printed = {"paper_prompts": "115092", "paper_prompt_tokens": "160.4", "paper_pairs": "115396"}
    assert z.items() >= printed.items()
    assert float(z["prompt_tokens_difference"]) == pytest.approx(100 * (1.5 / 160.4 - 1), abs=0.05)
    assert float(z["pairs_difference"]) == pytest.approx(-100, abs=0.05)
    assert (a["pairs"], a["prompt_tokens"], a["annotator"], a["paper"]) == ("0", "", "GPT-4, twice", "")
    assert a["paper_pairs"] == a["pairs_difference"] == ""


def test_the_total_is_over_the_data_sets_of_the_paper(tmp_path):
    kept = {"z": KEPT["z"], "a": [pair("p", (4, 6, 6), source="a")], "own": [pair("o", (9, 9, 9), source="own")]}
    rows = ("HH-RLHF", "SHP", "none")
    found = summarised(tmp_path, kept, dict.fromkeys(kept, ()), ("Human",) * 3, rows)["table5_preference_data"]
    assert [row["source"] for row in found] == ["z", "a", "own", "total"]
    total = found[-1]
    assert (total["pairs"], total["prompts"], total["paper_pairs"]) == ("3", "2", str(115_396 + 93_301))
    assert float(total["prompt_tokens"]) == pytest.approx((1 + 2 + 4) / 3, abs=0.05)
    assert float(total["paper_prompt_tokens"]) == pytest.approx(
        (115_396 * 160.4 + 93_301 * 186.2) / (115_396 + 93_301), abs=0.05
    )


def test_the_filter_report_counts_every_pair_read(tmp_path):
    found = summarised(tmp_path, KEPT, DROPPED)
    assert [list(row.values()) for row in found["filter_report"]] == [
        ["z", "kept", "2", "25.0"],
        ["z", "too_long", "5", "62.5"],
        ["z", "duplicate", "1", "12.5"],
        ["a", "equal_score", "1", "100.0"],
    ]
    assert [list(row.values()) for row in found["filter_totals"]] == [
        ["z", "8", "2", "6", "75.0", ""],
        ["a", "1", "0", "1", "100.0", ""],
        ["total", "9", "2", "7", "77.78", "10.0"],  # the paper: roughly 10%
    ]


def test_percentiles_and_gaps(tmp_path):
    kept = {"z": [pair(f"q{i}", (i, 10 * i, 100), f"a{i}") for i in range(1, 101)]}
    found = summarised(tmp_path, kept, {"z": []}, ("Human",), ("none",))
    parts = {row["part"]: row for row in found["length_statistics"]}
    assert list(parts) == ["prompt", "chosen", "rejected", "sequence"]
    assert [parts["chosen"][name] for name in ("pairs", "mean", "p50", "p90", "p99", "longest")] == [
        *("100", "505.0", "500", "900", "990", "1000"),
    ]
    assert parts["sequence"]["longest"] == "1100"
    source, total = found["length_gaps"]
    assert (source["source"], total["source"]) == ("z", "total")
    assert (source["percent_chosen_longer"], source["percent_rejected_longer"]) == ("90.0", "9.0")
    assert (source["mean_gap"], source["p50_gap"]) == ("405.0", "400")


def test_what_a_shorter_limit_would_cut(tmp_path):
    kept = {"z": [pair(f"q{i}", (8, 24, 8), f"a{i}") for i in range(3)]}  # 32 tokens each
    dropped = {"z": [dropped_pair("p", "too_long", "z"), dropped_pair("r", "duplicate", "z")]}  # 400 tokens each
    cuts = summarised(tmp_path, kept, dropped, ("Human",), ("none",))["length_cuts"]
    found = {int(row["max_tokens"]): row for row in cuts if row["source"] == "z"}
    assert list(found) == [256, 128, 64, 32]
    assert [found[256][name] for name in ("pairs", "pairs_over", "percent_pairs")] == ["4", "1", "25.0"]
    assert float(found[256]["percent_tokens"]) == pytest.approx(100 * (400 - 256) / (400 + 3 * 32), abs=0.01)
    assert [row for row in cuts if row["source"] == "total"] == [row | {"source": "total"} for row in found.values()]


def test_histograms_count_every_pair_once(tmp_path):
    scores = [(5.0, 5.0 - margin) for margin in (0.5, 1, 1, 2, 4)]
    kept = {
        "z": [
            pair(f"q{i}", (1, length, 1), f"a{i}", scores=s)
            for i, (length, s) in enumerate(zip((0, 1, 3, 4, 9), scores, strict=True))
        ],
        "a": [pair("q", (1, 2, 3), source="a")],
    }
    dropped = {
        "z": [dropped_pair("p", "small_margin", "z", (5.0, 4.75)), dropped_pair("r", "too_long", "z", (5.0, 1.0))]
    }
    found = summarised(tmp_path, kept, {**dropped, "a": []})
    chosen = [row for row in found["length_histograms"] if (row["source"], row["part"]) == ("z", "chosen")]
    assert sum(int(row["pairs"]) for row in chosen) == 5
    for row in chosen:
        inside = [n for n in (1, 1, 3, 4, 9) if float(row["low"]) - 1e-3 <= n < float(row["high"]) - 1e-3]
        assert int(row["pairs"]) == len(inside)  # no tokens count as one, for the logarithm
    margins = found["margin_histograms"]
    assert {row["source"] for row in margins} == {"z"}  # the other source has no scores
    assert sum(int(row["kept"]) for row in margins) == 5
    assert [(row["low"], row["dropped"]) for row in margins if int(row["dropped"])] == [("0.2", "1")]


def test_descriptions_must_fit_the_sources(tmp_path):
    with pytest.raises(StudyError, match="--preferences names z, a;"):
        summarised(tmp_path, KEPT, DROPPED, order=("a", "z"))
    with pytest.raises(StudyError, match="one value for each"):
        summarised(tmp_path, KEPT, DROPPED, annotators=("Human",))
