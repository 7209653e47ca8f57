"""Every table and figure as numbers, text and drawing, each with its caption."""

import html
import re
import xml.etree.ElementTree as ElementTree

import pytest

from scripts.common.errors import StudyError
from scripts.report import export_exhibits, plot_evaluation, plot_iterations, plot_training
from scripts.report.captions import CAPTIONS, captions
from scripts.report.csv_tables import read_csv
from scripts.report.export_exhibits import markdown_rows, plain
from scripts.report.markdown import markdown_table
from scripts.report.page_tables import Table

from .conftest import ACADEMIC_QUESTIONS, exhibit_args


@pytest.mark.parametrize("name", CAPTIONS)
def test_every_table_and_figure_is_there_as_numbers_text_and_drawing_with_its_caption(study, name):
    folder = study.tables if name.startswith("table") else study.figures
    assert len(read_csv(folder / f"{name}.csv", [])) > 0
    said = captions("gold", 80, ["HumanEval, for programs are not executed"])[name]
    text = (folder / f"{name}.md").read_text()
    assert text.startswith(f"# {said.title}\n\n| ")
    assert said.text.replace("Small print:", "In brackets:") in text
    assert not {"<", "{"} & set(text)
    drawing = ElementTree.fromstring((folder / f"{name}.svg").read_text())
    assert drawing.tag.endswith("svg")
    if name.startswith("table"):
        texts = [part for part in drawing.iter() if part.tag.endswith("text")]
        drawn_in_italics = {part.text for part in texts if part.get("font-style") == "italic"}
        written_in_italics = re.findall(r"\| \*(\S?\d[\d.]*)", text)  # numbers alone: a name may hold brackets
        assert set(written_in_italics) <= drawn_in_italics
        assert bool(written_in_italics) == ("italics" in said.text)
        words = " ".join(part.text or "" for part in texts)
        assert said.title in words
        assert " ".join(said.text.split()) in " ".join(words.split())
    assert said.title in html.unescape(study.page.read_text())


def test_cells_of_tables_in_markdown(study):
    text = (study.tables / "table3_academic.md").read_text()
    assert "| sft (SFT) | 50.0 (" in text
    assert "| *paper* | *74.2* | *64.7* | *65.2* | *53.4* | *61.4* | *62.3* |" in text
    assert text.count("not run |") == 4 * 2 + 6
    assert "Not run: HumanEval, for programs are not executed." in text
    shots = f"| GSM-8K | acc | 4 | *8* | yes | default | {ACADEMIC_QUESTIONS} | run |"
    assert shots in (study.tables / "table6_benchmarks.md").read_text()
    chat = (study.tables / "table2_chat.md").read_text()
    assert "Ours (Iterative RLHF) (iterative-iter3)" in chat
    assert markdown_table([{"a": "1|2", "b": ""}]) == "| a | b |\n|---|---|\n| 1\\|2 |  |\n"


def test_figures_come_with_what_they_draw(study, table):
    drawn = read_csv(study.figures / "figure8_iterations.csv", plot_iterations.COLUMNS).to_dicts()
    policies = {(row["run"], row["iteration"]): row for row in table("table2_policies.csv")}
    assert len(drawn) == len(policies) * len(plot_iterations.PANELS)
    for row in drawn:
        assert row["value"] == policies[row["run"], row["iteration"]][row["measure"]]
    bars = read_csv(study.figures / "figure9_evaluation.csv", plot_evaluation.DRAWN)
    assert len(bars) == len(plot_evaluation.BENCHMARKS) * len(plot_evaluation.MODELS)
    steps = read_csv(study.figures / "figure6_7_training.csv", plot_training.COLUMNS)
    assert steps["model"].value_counts().sort("model")["count"].to_list() == [300, 500]
    points = read_csv(study.figures / "figure5_prompts.csv", ["x", "y"])
    assert len(points) == 80


def test_cells_without_html():
    assert plain("a &lt;b&gt;") == ["a <b>"]
    rows = markdown_rows(Table([{"a": 'x<span class="ci">1</span><span class="ci">n = 2</span>'}, {"a": ""}], "t"))
    assert rows == [{"a": "x (1; n = 2)"}, {"a": ""}]
    muted = Table([{"a": "paper", "b": "<i>3</i>"}, {"a": "mine", "b": "<i>4</i>"}], "t", muted=[0])
    assert markdown_rows(muted) == [{"a": "*paper*", "b": "*3*"}, {"a": "mine", "b": "*4*"}]


def test_a_name_that_is_no_exhibit_is_named(study, tmp_path):
    args = exhibit_args(study)
    with pytest.raises(StudyError, match=r"table7\.md: is named after no table or figure"):
        export_exhibits.main(exhibit_args(study, texts=(tmp_path / "table7.md", *args.texts[1:])))
    with pytest.raises(StudyError, match="one of --texts"):
        export_exhibits.main(exhibit_args(study, texts=args.texts[1:]))
