"""The position bias in a table: known readings, known numbers."""

import math

import pyarrow as pa
import pytest

from scripts.common import tables
from scripts.report.csv_tables import read_csv
from scripts.report.tabulate_position_bias import COLUMNS, Args, main


def write(path, readings):
    rows = {"chosen_as_a": [a for a, _ in readings], "chosen_as_b": [b for _, b in readings]}
    tables.write_table(pa.table(rows, schema=tables.VERDICTS.columns), path, tables.VERDICTS)
    return path


def test_known_readings(tmp_path):
    log3 = math.log(3)
    readings = [(log3, log3), (-log3, -log3), (2 * log3, -log3), (None, log3)]
    table = tmp_path / "table.csv"
    main(Args(("judge",), (write(tmp_path / "scores.parquet", readings),), table))
    (row,) = read_csv(table, COLUMNS).to_dicts()
    assert (row["n"], row["without_verdict"]) == (3, 1)
    assert row["flipped"] == pytest.approx(1 / 3, abs=1e-6)
    assert row["probability_of_a"] == pytest.approx((0.5 + 0.5 + (0.9 + 0.75) / 2) / 3, abs=1e-6)
    assert (row["accuracy_as_a"], row["accuracy_as_b"]) == pytest.approx((2 / 3, 1 / 3), abs=1e-6)
    assert row["accuracy_both"] == pytest.approx(2 / 3, abs=1e-6)  # of the third, (0.9 + 0.25) / 2 is above 1/2
    assert row["flipped_low"] <= row["flipped"] <= row["flipped_high"]


def test_a_judge_of_a_single_order_shows_none(tmp_path):
    table = tmp_path / "table.csv"
    main(Args(("judge",), (write(tmp_path / "scores.parquet", [(1.0, None), (None, 1.0)]),), table))
    assert read_csv(table, COLUMNS).is_empty()
