"""The monitor of an iteration: known answers for every measure, and limits that stop a run in plain words."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.config import Limits
from scripts.common.errors import StudyError
from scripts.evaluate import check_limits, monitor_policy

N = 8


def measures(path, reward=0.0, gold=None, response="a b c d e", log_ratio=0.0, finished=True, split="validation"):
    """Answers to N prompts; an argument may be one value for all prompts or a function of the prompt's number."""

    def at(value, i):
        return value(i) if callable(value) else value

    rows = [
        {"prompt_id": f"p{i}", "response": at(response, i), "characters": len(at(response, i)), "tokens": 5}
        | {"finished": at(finished, i), "reward": float(at(reward, i)), "log_ratio": float(at(log_ratio, i))}
        | {"gold": None if gold is None else float(at(gold, i)), "split": split}
        for i in reversed(range(N))
    ]
    schema = tables.MEASURES.columns.append(pa.field("split", pa.string()))
    tables.write_table(pa.Table.from_pylist(rows, schema=schema), path, tables.MEASURES)
    return path


def monitored(tmp_path, answers, previous=None, sft=None, judge="reward"):
    paths = [
        measures(tmp_path / f"{name}.parquet", **kind)
        for name, kind in (("now", answers), ("before", previous or answers), ("sft", sft or answers))
    ]
    output = tmp_path / "monitor.parquet"
    monitor_policy.main(monitor_policy.Args(*paths, output, judge))
    rows = tables.read_table(output, tables.MONITOR).to_pylist()
    return {row["measure"]: row for row in rows}


def test_gain_wins_and_agreement_are_counted_against_the_policy_before(tmp_path):
    now = {"reward": lambda i: i + 1, "gold": lambda i: 1 if i < 6 else -1}
    found = monitored(tmp_path, now, previous={"reward": lambda i: i, "gold": 0}, judge="gold")
    assert found["reward_gain"]["value"] == pytest.approx(1)
    assert (found["reward_gain"]["low"], found["reward_gain"]["high"]) == pytest.approx((1, 1))
    assert found["win_rate"]["value"] == pytest.approx(6 / 8)
    assert found["agreement"]["value"] == pytest.approx(6 / 8)  # the reward model prefers every new answer
    assert found["win_rate"]["n"] == N


def test_ties_count_half_and_tell_nothing_about_agreement(tmp_path):
    found = monitored(tmp_path, {"gold": 1, "reward": 2}, judge="gold")
    assert found["win_rate"]["value"] == pytest.approx(0.5)
    assert "agreement" not in found


def test_the_reward_model_does_not_vouch_for_itself(tmp_path):
    assert "agreement" not in monitored(tmp_path, {"reward": 1}, previous={"reward": 0})


def test_drift_and_collapse(tmp_path):
    now = {"response": "x y x y x y", "log_ratio": lambda i: i, "finished": lambda i: i > 1}
    found = monitored(tmp_path, now, sft={"response": "a b"})
    assert found["kl"]["value"] == pytest.approx(3.5)
    assert found["length_growth"]["value"] == pytest.approx(11 / 3)
    assert found["truncated"]["value"] == pytest.approx(2 / N)
    assert found["repetition"]["value"] == pytest.approx(1 / 3)  # xyxy, yxyx, xyxy
    assert found["distinct_pairs"]["value"] == pytest.approx(2 / (5 * N))
    assert found["distinct_pairs"]["low"] is None


@given(st.lists(st.sampled_from(["a", "b", "c\n"]), max_size=12))
def test_repetition_against_plain_python(words):
    text = " ".join(words)
    split = text.split()
    sequences = [tuple(split[i : i + 4]) for i in range(len(split) - 3)]
    expected = 1 - len(set(sequences)) / len(sequences) if sequences else 0.0
    repetition, _ = monitor_policy.texts(pa.table({"prompt_id": ["p"], "response": [text]}))
    assert repetition[0] == pytest.approx(expected)


def test_other_prompts_are_refused(tmp_path):
    now, sft = measures(tmp_path / "now.parquet"), measures(tmp_path / "sft.parquet")
    other = measures(tmp_path / "other.parquet", split="test")
    with pytest.raises(StudyError, match=r"other\.parquet: no row has split 'validation'"):
        monitor_policy.main(monitor_policy.Args(now, other, sft, tmp_path / "out.parquet"))


def write_monitor(path, **values):
    rows = [{"measure": k, "value": v, "low": None, "high": None, "n": N} for k, v in values.items()]
    tables.write_table(rows, path, tables.MONITOR)
    return path


def test_a_crossed_limit_stops_the_run_and_says_how_to_go_on(tmp_path):
    monitor = write_monitor(tmp_path / "monitor.parquet", kl=12.34, win_rate=0.4, repetition=0.1)
    limits = Limits(kl=10.0, win_rate=0.45, repetition=0.3)
    with pytest.raises(StudyError) as error:
        check_limits.main(check_limits.Args(monitor, "iterative", 2, tmp_path / "within.json", limits))
    message = str(error.value)
    assert "run 'iterative' stops after iteration 2" in message
    assert "kl is 12.3, and the limit is at most 10" in message
    assert "win_rate is 0.4, and the limit is at least 0.45" in message
    assert "repetition" not in message
    assert "runs.iterative.iterations to 1" in message
    assert not (tmp_path / "within.json").exists()


def test_within_its_limits_a_run_goes_on(tmp_path):
    monitor = write_monitor(tmp_path / "monitor.parquet", kl=9.9)
    check_limits.main(check_limits.Args(monitor, "iterative", 2, tmp_path / "w.json", Limits(kl=10.0, agreement=0.9)))
    assert '"measured": 9.9' in (tmp_path / "w.json").read_text()


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_limit_that_is_just_met_is_not_crossed(value, limit):
    crossed_low = bool(check_limits.crossed({"win_rate": value}, {"win_rate": limit}))
    crossed_high = bool(check_limits.crossed({"truncated": value}, {"truncated": limit}))
    assert crossed_low == (value < limit)
    assert crossed_high == (value > limit)
