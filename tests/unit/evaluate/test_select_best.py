"""The best iteration: by validation prompts alone, the earliest of equals, published whole."""

import json

import pyarrow as pa
import pytest

from scripts.common import files, tables
from scripts.common.errors import StudyError
from scripts.evaluate import select_best

pytest_plugins = ["tests.unit.engines_fixtures"]


def measures(path, validation, test=(0.0,), gold=True):
    """A table of measures whose judge's scores are given by split."""
    scores = [("validation", s) for s in validation] + [("test", s) for s in test]
    rows = [
        {
            "prompt_id": f"p{i}",
            "response": "a",
            "characters": 1,
            "tokens": 2,
            "finished": True,
            "reward": -score,
            "gold": score if gold else None,
            "log_ratio": 0.0,
        }
        for i, (_, score) in enumerate(scores)
    ]
    table = pa.Table.from_pylist(rows, schema=tables.MEASURES.columns)
    tables.write_table(table.append_column("split", pa.array([s for s, _ in scores])), path, tables.MEASURES)
    return path


def select(tmp_path, means, policies, judge="gold"):
    files = tuple(measures(tmp_path / f"m{i}.parquet", [m - 1, m + 1]) for i, m in enumerate(means))
    facts = select_best.main(select_best.Args(files, tuple(policies), tmp_path / "best", judge))
    return facts, json.loads((tmp_path / "best" / "selection.json").read_text())


@pytest.mark.parametrize(
    ("means", "judge", "best"), [((1.0, 3.0, 2.0), "gold", 2), ((1.0, 3.0, 2.0), "reward", 1), ((2.0, 2.0), "gold", 1)]
)
def test_highest_mean_wins_and_the_earliest_of_equals(tmp_path, policy, means, judge, best):
    facts, selection = select(tmp_path, means, [policy] * len(means), judge)
    assert facts["best_iteration"] == selection["best_iteration"] == best
    sign = 1 if judge == "gold" else -1
    assert [(c["iteration"], c["mean"], c["n"]) for c in selection["candidates"]] == [
        (i, sign * mean, 2) for i, mean in enumerate(means, start=1)
    ]


def test_test_prompts_do_not_choose(tmp_path, policy):
    files = (measures(tmp_path / "a.parquet", [1.0], [9.0]), measures(tmp_path / "b.parquet", [2.0], [-9.0]))
    facts = select_best.main(select_best.Args(files, (policy, policy), tmp_path / "best", "gold"))
    assert facts["best_iteration"] == 2


def test_the_folder_is_the_policys_and_takes_no_room(tmp_path, policy, other_policy):
    (other_policy / "manifest.json").write_text("{}")
    select(tmp_path, (1.0, 2.0), [policy, other_policy])
    best = tmp_path / "best"
    names = {path.name for path in other_policy.iterdir()} - {"manifest.json"}
    assert {path.name for path in best.iterdir()} == names | {"selection.json"}
    assert (best / "model.safetensors").read_bytes() == (other_policy / "model.safetensors").read_bytes()
    if best.stat().st_dev == other_policy.stat().st_dev:
        assert (best / "model.safetensors").stat().st_ino == (other_policy / "model.safetensors").stat().st_ino
    (other_policy / "manifest.json").unlink()


def test_a_copy_where_the_file_system_has_no_links(tmp_path, policy, monkeypatch):
    def refuse(source, target):
        raise OSError("no links here")

    monkeypatch.setattr(files.os, "link", refuse)
    select(tmp_path, (1.0,), [policy])
    assert (tmp_path / "best/model.safetensors").read_bytes() == (policy / "model.safetensors").read_bytes()


def test_a_measure_without_the_judges_score(tmp_path, policy):
    files = (measures(tmp_path / "a.parquet", [1.0], gold=False),)
    with pytest.raises(StudyError, match=r"a\.parquet: 1 validation answers, 1 of them without gold score"):
        select_best.main(select_best.Args(files, (policy,), tmp_path / "best", "gold"))


def test_no_validation_answers(tmp_path, policy):
    files = (measures(tmp_path / "a.parquet", []),)
    with pytest.raises(StudyError, match=r"a\.parquet: 0 validation answers"):
        select_best.main(select_best.Args(files, (policy,), tmp_path / "best", "gold"))


def test_measures_and_policies_must_pair_up(tmp_path, policy):
    with pytest.raises(StudyError, match="--measures has 1 files and --policies 2 folders"):
        select_best.main(
            select_best.Args((measures(tmp_path / "a.parquet", [1.0]),), (policy, policy), tmp_path / "best", "gold")
        )
