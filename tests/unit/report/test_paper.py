"""The paper's numbers in config/paper.tsv: as printed, whole tables, pairs that add up."""

import pytest

from scripts.common.errors import StudyError
from scripts.report.paper import PAPER, paper_value, read_paper


def test_values_as_printed():
    assert paper_value("table1", "BT mix2", "Safety") == 87.8
    assert paper_value("table2", "Ours (Iterative RLHF)", "LC AlpacaEval-2") == 31.3
    assert paper_value("table4", "Ours-concise", "Len. Pen.") == 0.001
    assert paper_value("table2", "Zephyr-7B-beta", "Chat-Arena-Hard") is None  # printed as unavailable


def test_pairs_of_table_5_add_up():
    pairs = [value for (_, _, column), value in read_paper(PAPER).items() if column == "#Pairs"]
    assert (len(pairs), sum(pairs)) == (10, 848_965)


def test_tables_are_whole():
    """Rows x columns less the cells that are printed as unavailable, empty or not legible (Table 4's Len. and MMLU)."""
    counts: dict[str, int] = {}
    for table, _, _ in read_paper(PAPER):
        counts[table] = counts.get(table, 0) + 1
    expected = {
        "table1": 4 * 4,
        "table2": 20 * 3 - 4 + 2,
        "table3": 4 * 6,
        "table4": 3 * 7 + 1,
        "table5": 10 * 5,
        "table6": 9,
        "table7": 4,
    }
    assert counts == {**expected, "figure3": 2, "appendixB1": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("table1\ta\tb\t1", "line 2: 4 fields"),
        ("table1\ta\tb\tmany\t", "line 2: 'many' is no number"),
        ("table1\ta\tb\t1\t\ntable1\ta\tb\t2\t", "line 3: the cell table1 / a / b is given twice"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    path = tmp_path / "paper.tsv"
    path.write_text(f"table\trow\tcolumn\tvalue\tnote\n{line}\n")
    with pytest.raises(StudyError, match=message):
        read_paper(path)
