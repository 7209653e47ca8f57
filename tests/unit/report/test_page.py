"""The page as a file: it asks for nothing outside, its elements close, and what it holds is there."""

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.report import build_page, page_facts, page_tables
from scripts.report.csv_tables import read_csv, write_csv
from scripts.report.paper import paper_run
from scripts.report.summarise import summary

from .conftest import page_args

VOID = {"meta", "br", "img", "link", "hr", "input"}


class Outline(HTMLParser):
    """Ids, headings, addresses and unclosed elements of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.open, self.addresses, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.ids += [named["id"]] if "id" in named else []
        self.addresses += [named[key] for key in ("src", "href", "xlink:href") if key in named]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(study) -> str:
    return study.page.read_text()


@pytest.fixture(scope="module")
def outline(page) -> Outline:
    return Outline(page)


def test_the_page_asks_for_nothing_outside(page, outline):
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)
    assert not re.search(r"url\((?!#)|@import|<script[^>]* src|<link|<iframe|fetch\(|XMLHttpRequest", page)
    assert "default-src 'none'" in page


def test_only_the_pair_browsers_own_script_may_run(page):
    allowed = re.search(r"script-src 'sha256-([^']+)'", page).group(1)
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == allowed
    assert "unsafe-inline" not in page.partition("script-src")[2].partition('"')[0]


def test_elements_close_and_ids_are_unique(outline):
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)


def test_all_tables_and_figures_are_there(outline):
    names = "table1 table2 table4 table5 filters filtered-pairs lengths preference-lengths preference-margins"
    names += " figure5 topics table1-subsets table2-chat table4-chat position-bias held-out figure3 length-bias figure8"
    names += " monitors drift figure6-7 pairs figure9 table3 table4-academic table6 comparison"
    exhibits = names.split()
    assert {"cases", *(f"exhibit-{name}" for name in exhibits)} <= set(outline.ids)


def test_numbers_reach_the_page(page, table):
    row = next(row for row in table("table2_policies.csv") if row["policy"] == "iterative-iter3")
    assert f'{row["gold"]:.2f}<span class="ci">{row["gold_low"]:.2f} to {row["gold_high"]:.2f}</span>' in page
    assert "31.3" in page  # the paper's LC win rate of iterative DPO
    chat = next(row for row in table("table2_chat.csv") if row["model"] == "Ours (Iterative RLHF)")
    assert f'{chat["mt_bench"]:.2f}<span class="ci">{chat["mt_bench_low"]:.2f} to {chat["mt_bench_high"]:.2f}' in page
    assert page.count('<span class="ci">not run</span>') > 20
    assert "4,800 responses (91,234 tokens) by vllm 0.32.0" in page


def test_what_does_not_appear_is_said(outline):
    words = " ".join(outline.words)
    assert "does not appear" in words
    assert "The length penalty makes answers shorter" in words


def test_text_of_the_data_is_escaped(study, tmp_path):
    cases = tables.read_table(study.folder / "evaluation/case_studies.parquet", tables.CASE_STUDIES).to_pylist()
    cases[0]["online_response"] = "<b>fox</b> & <script>alert(1)</script>"
    tables.write_table(cases, tmp_path / "cases.parquet", tables.CASE_STUDIES)
    args = page_args(study, case_studies=tmp_path / "cases.parquet", output=tmp_path / "index.html")
    build_page.main(args)
    text = args.output.read_text()
    assert "&lt;b&gt;fox&lt;/b&gt; &amp; &lt;script&gt;alert(1)" in text
    assert "<b>fox" not in text


def test_a_study_without_evaluation_has_a_smaller_page(study, tmp_path):
    evaluation = "table1 table1_differences figure3 figure3_table table2 table4 table2_differences figure8"
    evaluation += " table1_subsets position_bias"
    evaluation += " drift monitors case_studies table3 table3_differences table4_academic table6"
    evaluation += " table2_chat table4_chat chat_differences"
    nothing = dict.fromkeys(evaluation.split())
    args = page_args(study, **nothing, pairs=(), output=tmp_path / "index.html")
    facts = build_page.main(args)
    outline = Outline(args.output.read_text())
    assert facts["findings"] == 0
    assert {"exhibit-held-out", "exhibit-table5", "exhibit-figure6-7"} <= set(outline.ids)
    assert not {"findings", "policies", "exhibit-table1", "pairs-learnt", "cases"} & set(outline.ids)


@pytest.mark.parametrize(("seconds", "words"), [(12.4, "12 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, words):
    assert page_facts.duration(seconds) == words


def test_table_5_shows_the_papers_row_and_the_difference(page):
    assert "paper: HH-RLHF" in page
    assert '115,396<span class="ci">\N{MINUS SIGN}100.0%</span>' in page
    assert "nectar" in page
    assert "paper: Nectar" not in page
    assert '9<span class="ci">11.7%; the paper: about 10%</span>' in page  # 9 of 77 pairs read


def test_lengths_and_their_limits(page):
    assert "over 256" in page
    assert "over 32" in page
    assert "5 · 5 · 5 · 5" in page  # the prompts


def test_runs_of_the_paper():
    assert paper_run("mix2", 0.002) == "Ours-concise"
    assert paper_run("ultrarm", 0.0) == "UltraRM-13B"
    assert paper_run("other", 0.0) is None


def test_cells():
    assert page_tables.number(None) == "–"
    assert page_tables.number(-0.5, "{:+.1f}") == "−0.5"
    row = {"x": 0.5, "x_low": None, "x_high": None}
    assert page_tables.interval(row, "x", "{:.0f}", 100) == "50"


def test_shades_go_by_the_numbers_of_the_studys_own_rows():
    cells = ['1,200<span class="ci">1 to 9,999</span>', "\N{MINUS SIGN}300.0", "\N{EN DASH}", "450", "not run", "9,000"]
    made = page_tables.Table([{"x": cell} for cell in cells], "t", muted=[5], heat=["x"])
    assert made.shades("x") == {0: 25, 3: 12}  # 1,200 is the highest, -300 the lowest, 450 half-way
    assert made.__html__().count("--heat") == 2
    alike = page_tables.Table([{"x": "7"}, {"x": "7"}], "t", heat=["x"])
    assert alike.shades("x") == {}


def test_summary_stars_the_chosen(table):
    from rich.console import Console

    console = Console(width=80)
    with console.capture() as captured:
        console.print(summary(table("table2_policies.csv")))
    words = captured.get()
    assert "…" not in words  # fits into 80 columns
    assert "iterative-iter3 *" in words
    assert "iterative-iter2 *" not in words
    assert "80 test prompts" in words


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_keeps_values_and_empties(tmp_path):
    rows = [{"a": "x", "b": 1 / 3, "c": None}, {"a": "y, z", "b": float("nan"), "c": 2}]
    write_csv(rows, tmp_path / "t.csv", ["a", "b", "c"])
    assert read_csv(tmp_path / "t.csv", ["a", "c"]).rows() == [("x", 0.333333, None), ("y, z", None, 2)]


def test_csv_without_a_column(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StudyError, match="no column c; the file has a, b"):
        read_csv(tmp_path / "t.csv", ["a", "c"])


def test_csv_that_is_empty(tmp_path):
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(StudyError, match="not a CSV table"):
        read_csv(tmp_path / "t.csv", ["a"])


# --- as commands ------------------------------------------------------------------------------------------------------


def run(module: str, *words: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", f"scripts.report.{module}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_line_writes_table_and_manifest(study, tmp_path):
    scores = study.folder / "evaluation/held_out/mix1.parquet"
    table = tmp_path / "held_out.csv"
    done = run("tabulate_held_out", "--models", "mix1", "--scores", scores, "--seed", 1, "--table", table)
    assert done.returncode == 0, done.stderr
    assert table.exists()
    assert (tmp_path / "held_out.csv.manifest.json").exists()


def test_the_command_line_says_what_is_missing(tmp_path):
    done = run(
        "plot_iterations",
        "--table",
        tmp_path / "none.csv",
        "--figure",
        tmp_path / "f.svg",
        "--data",
        tmp_path / "f.csv",
    )
    assert done.returncode != 0
    assert done.stderr.strip() == f"error: --table {tmp_path}/none.csv: there is no such file or folder."


def test_the_closing_summary(study):
    done = run("summarise", "--policies", study.tables / "table2_policies.csv", "--page", study.page)
    assert done.returncode == 0, done.stderr
    assert f"All tables and figures: {study.page}\n" in done.stdout
    assert "iterative-iter3" in done.stdout
