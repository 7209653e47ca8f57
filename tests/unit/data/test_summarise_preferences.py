"""Table 5 and the filter report, on tables small enough to count by hand."""

import csv

import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.summarise_preferences import Args, main
from tests.unit.data.conftest import preference_pair, standard_pair


def dropped_pair(prompt, reason, source):
    row = standard_pair(prompt, source=source) | {"reason": reason}
    del row["defect"]
    return row


def summarised(folder, kept, dropped, annotators=("Human", "GPT-4, twice")):
    for name, sources, contract in (("kept", kept, tables.PREFERENCES), ("dropped", dropped, tables.DROPPED)):
        for source, rows in sources.items():
            tables.write_table(rows, folder / name / f"{source}.parquet", contract)
    table, report = folder / "table5.csv", folder / "report.csv"
    main(
        Args(
            tuple(folder / "kept" / f"{source}.parquet" for source in kept),
            tuple(folder / "dropped" / f"{source}.parquet" for source in dropped),
            ("LLM",) * len(kept),
            annotators,
            table,
            report,
        )
    )
    return [list(csv.reader(path.open())) for path in (table, report)]


KEPT = {
    "z": [preference_pair("q", "a", source="z"), preference_pair("q", "b", source="z") | {"prompt_tokens": 2}],
    "a": [],
}
DROPPED = {
    "z": [dropped_pair(f"p{i}", "too_long" if i else "duplicate", "z") for i in range(6)],
    "a": [dropped_pair("p", "equal_score", "a")],
}


def test_known_tables(tmp_path):
    table, report = summarised(tmp_path, KEPT, DROPPED)
    assert table == [
        [
            "source",
            "prompts",
            "prompt_tokens",
            "chosen_tokens",
            "rejected_tokens",
            "completion",
            "annotator",
            "pairs",
        ],
        ["z", "1", "1.5", "2.0", "3.0", "LLM", "Human", "2"],  # in the order of the study, not of the alphabet
        ["a", "0", "", "", "", "LLM", "GPT-4, twice", "0"],  # nothing left, and still in the table
    ]
    assert report == [
        ["source", "reason", "pairs", "percent"],
        ["z", "kept", "2", "25.0"],
        ["z", "too_long", "5", "62.5"],
        ["z", "duplicate", "1", "12.5"],
        ["a", "equal_score", "1", "100.0"],
    ]


def test_descriptions_must_fit_the_sources(tmp_path):
    with pytest.raises(StudyError, match="--preferences names z, a;"):
        summarised(tmp_path, KEPT, {"a": DROPPED["a"], "z": DROPPED["z"]})
    with pytest.raises(StudyError, match="one value for each"):
        summarised(tmp_path, KEPT, DROPPED, annotators=("Human",))
