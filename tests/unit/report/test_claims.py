"""Verdicts on the paper's findings: of one study by its interval, of several seeds by their mean."""

import polars as pl
import pytest

from scripts.common.errors import StudyError
from scripts.report import findings
from scripts.report.claims import (
    Evidence,
    across_seeds,
    chance_findings,
    gather,
    length_bias_findings,
    policy_findings,
    preference_model_findings,
    reward_model_findings,
)
from scripts.report.findings import sources

from .conftest import write_study


def evidence(value: float, low: float | None, high: float | None) -> Evidence:
    return Evidence("a finding", "Section 1", "a quantity", value, low, high)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.5, 0.1, 0.9, "holds"),
        (0.5, -0.1, 1.1, "within noise"),
        (0.5, 0.0, 1.0, "within noise"),
        (0.5, None, None, "within noise"),
        (0.0, 0.0, 0.0, "does not appear"),
        (-0.2, -0.5, 0.1, "does not appear"),
    ],
)
def test_verdict_of_one_study(value, low, high, verdict):
    assert evidence(value, low, high).verdict == verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.2, 0.25, 0.3], "holds; positive in 3 of 3 seeds"),
        ([0.016667, 0.1, 0.016667], "within noise; positive in 3 of 3 seeds"),  # -0.075 to 0.164
        ([0.4, -0.1, 0.3], "within noise; positive in 2 of 3 seeds"),
        ([0.1, -0.4, 0.1], "does not appear; positive in 2 of 3 seeds"),
        ([-0.1, -0.2, 0.0], "does not appear; positive in 0 of 3 seeds"),
        ([0.1], "within noise; positive in 1 of 1 seeds"),  # one seed has no interval
    ],
)
def test_verdict_over_seeds(values, verdict):
    assert across_seeds(values)[-1] == verdict


def test_mean_over_seeds_with_its_interval():
    mean, low, high, _ = across_seeds([1.0, 2.0, 6.0])
    half = 4.302653 * (7 / 3) ** 0.5  # t of two degrees of freedom at 97.5 %, times sd / sqrt(n)
    assert (mean, low, high) == pytest.approx((3.0, 3.0 - half, 3.0 + half), rel=1e-6)
    assert across_seeds([1.0])[1:3] != across_seeds([1.0])[1:3]  # nan: one seed has no spread


def test_preference_model_against_the_reward_model_of_its_mix_and_against_prompting(table):
    rows = pl.DataFrame(table("table1_differences.csv"), infer_schema_length=None)
    found = {item.quantity: item for item in preference_model_findings(rows)}
    assert found["accuracy on Reasoning, pairwise - mix2"].value == pytest.approx(2 / 50)
    assert not any("mix1 - " in quantity and "Reasoning" in quantity for quantity in found)
    least = {item.quantity.split(", ")[1]: (item.detail, item.value) for item in found.values() if item.detail}
    assert least == {
        "mix1 - prompted": ("Safety", pytest.approx(-4 / 50)),
        "mix2 - prompted": ("Chat Hard", pytest.approx(15 / 50)),
        "pairwise - prompted": ("Chat Hard", pytest.approx(15 / 50)),
    }


def test_mix2_against_mix1_in_the_two_sections():
    row = {"model": "mix2", "minus": "mix1", "difference": 0.3, "low": 0.1, "high": 0.5, "n": 50}
    rows = [{**row, "section": section} for section in ("Chat", "Safety", "Reasoning")]
    rows.append({**row, "section": "Safety", "model": "mix1", "minus": "mix2", "difference": -0.3})
    found = list(reward_model_findings(pl.DataFrame(rows)))
    assert [(item.quantity, item.value) for item in found] == [
        ("accuracy on Safety, mix2 - mix1", 0.3),
        ("accuracy on Reasoning, mix2 - mix1", 0.3),
    ]


def test_length_bias_of_each_model():
    def row(model: str, correlation: float, above_gold: float | None) -> dict:
        values = {"correlation": correlation, "above_gold": above_gold, "partial": None}
        ends = {f"{name}_{end}": v and v + d for name, v in values.items() for end, d in (("low", -0.1), ("high", 0.1))}
        return {"model": model, **values, **ends}

    rows = [row("mix1", 0.2, 0.3), row("mix2", -0.05, 0.15), row("gold", -0.15, None)]
    assert [(item.quantity, item.verdict) for item in length_bias_findings(pl.DataFrame(rows))] == [
        ("correlation of reward and length, mix1", "holds"),
        ("correlation with length, mix1 - gold", "holds"),
        ("correlation of reward and length, mix2", "does not appear"),
        ("correlation with length, mix2 - gold", "holds"),
    ]


def test_chance_is_judged_by_the_weakest_section_that_the_data_cover():
    sections = {"Chat": (0.9, 0.8), "Chat Hard": (0.6, 0.48), "Safety": (0.5, 0.4), "Reasoning": (0.8, 0.7)}
    rows = [
        {"model": model, "mix": mix, "section": section, "accuracy": value, "low": low, "high": value + 0.1}
        for model, mix in (("asked", "none"), ("rm", "mix1"), ("pairwise", "mix2"))
        for section, (value, low) in sections.items()
    ]
    found = [(item.quantity, item.detail, item.verdict) for item in chance_findings(pl.DataFrame(rows))]
    assert found == [
        ("lowest accuracy - 1/2, rm", "Chat Hard", "within noise"),
        ("lowest accuracy - 1/2, pairwise", "Safety", "does not appear"),
    ]


def hand_made(values: dict[str, tuple[float, str, bool]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Table 2 and all differences of one measure, `reward`, from policy -> (value, method, chosen)."""
    policies = [
        {"policy": policy, "run": policy.split("-")[0], "method": method, "chosen": chosen}
        for policy, (_, method, chosen) in values.items()
    ]
    differences = [
        {"policy": a, "minus": b, "measure": "reward", "difference": values[a][0] - values[b][0]}
        | {"low": values[a][0] - values[b][0] - 0.1, "high": values[a][0] - values[b][0] + 0.1}
        for a in values
        for b in values
        if a != b
    ]
    return pl.DataFrame(policies), pl.DataFrame(differences)


def test_rise_over_iterations_is_judged_by_its_smallest_step():
    tables = hand_made(
        {
            "sft": (1.0, "SFT", True),
            "plain-iter1": (1.5, "iterative DPO", False),
            "plain-iter2": (1.55, "iterative DPO", False),
            "plain-iter3": (2.5, "iterative DPO", True),
        }
    )
    (found,) = policy_findings(tables[0], tables[1].to_dicts())
    assert (found.quantity, found.detail, found.verdict) == (
        "smallest step in reward",
        "plain-iter1 to plain-iter2",
        "within noise",
    )
    assert found.value == pytest.approx(0.05)


def test_a_fall_in_one_iteration_does_not_count_as_rising():
    tables = hand_made(
        {
            "sft": (1.0, "SFT", True),
            "plain-iter1": (3.0, "iterative DPO", True),
            "plain-iter2": (2.0, "iterative DPO", False),
        }
    )
    assert [item.verdict for item in policy_findings(tables[0], tables[1].to_dicts())] == ["does not appear"]


def test_findings_of_the_study(study):
    found = {(item.finding, item.quantity): item for item in gather(sources(study.folder))}
    assert found["Offline DPO is above SFT in gold reward", "gold reward, offline DPO - SFT"].verdict == "holds"
    shorter = found[
        "The length penalty makes answers shorter", "characters, iterative DPO - iterative DPO, length penalty"
    ]
    assert shorter.value == pytest.approx(99 - 60)
    assert len(found) == 38


@pytest.fixture(scope="module")
def second_seed(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("second") / "demo_seed2", seed=1)


def test_findings_over_seeds(study, second_seed, tmp_path):
    output, markdown = tmp_path / "findings.csv", tmp_path / "findings.md"
    facts = findings.main(findings.Args((study.folder, second_seed.folder), output, markdown))
    rows = {row["quantity"]: row for row in pl.read_csv(output).to_dicts()}
    row = rows["gold reward, iterative DPO - offline DPO"]
    assert facts == {"findings": 38, "studies": 2}
    assert row["mean"] == pytest.approx((row["demo"] + row["demo_seed2"]) / 2, abs=1e-6)
    assert row["verdict"].endswith("positive in 2 of 2 seeds")
    lines = [line for line in markdown.read_text().splitlines() if line.startswith("|")]
    assert f"--studies {study.folder} {second_seed.folder} --output {output}" in markdown.read_text()
    assert len(lines) == 2 + 38
    assert len({line.count("|") for line in lines}) == 1


def test_studies_must_be_finished(tmp_path):
    (tmp_path / "demo_seed9").mkdir()
    with pytest.raises(StudyError, match=r"table1_reward_models\.csv: there is no such file; build the study first"):
        sources(tmp_path / "demo_seed9")


def test_studies_must_have_the_same_findings(study):
    found = gather(sources(study.folder))
    with pytest.raises(StudyError, match="study 'b' has no 'lowest accuracy"):
        findings.compare({"a": found, "b": found[1:]})
