"""The pair browser's data: a fair share of every iteration, drawn by identity, cut with a mark, packed without loss."""

import base64
import gzip
import json

from scripts.common import tables
from scripts.report import page_pairs


def write(path, n, chosen="yes", turns=1):
    prompt = [{"role": role, "content": f"<b>turn {i}</b>"} for i, role in enumerate(["user", "assistant", "user"])]
    rows = [
        {"prompt_id": f"{path.parent.name}-{i}", "prompt": prompt[-turns:], "chosen": chosen, "rejected": "no"}
        | {"chosen_actor": 0, "rejected_actor": 1, "chosen_reward": 1.0, "rejected_reward": -0.5, "margin": 1.5}
        for i in range(n)
    ]
    tables.write_table(rows, path, tables.ONLINE_PAIRS)
    return path


def files(tmp_path, *sizes, **kind):
    return [write(tmp_path / f"runs/iterative/iter{t}/pairs.parquet", n, **kind) for t, n in enumerate(sizes, start=1)]


def test_every_iteration_has_its_share_and_the_seed_draws_it(tmp_path):
    paths = files(tmp_path, 40, 5)
    rows = page_pairs.browsed(paths, seed=1, limit=20)
    assert [(row["run"], row["iteration"]) for row in rows] == [("iterative", 1)] * 10 + [("iterative", 2)] * 5
    assert rows == page_pairs.browsed(paths, seed=1, limit=20)


def test_long_texts_are_cut_with_a_mark_and_their_length_is_told(tmp_path):
    row = page_pairs.browsed(files(tmp_path, 1, chosen="x" * 9000), seed=1)[0]
    assert row["chosen"] == "x" * page_pairs.CHARACTERS + " […]"
    assert (row["chosen_characters"], row["rejected_characters"], row["rejected"]) == (9000, 2, "no")


def test_several_turns_name_their_speakers(tmp_path):
    one, three = (page_pairs.browsed(files(tmp_path / str(n), 1, turns=n), seed=1)[0]["prompt"] for n in (1, 3))
    assert one == "<b>turn 2</b>"
    assert three == "user: <b>turn 0</b>\n\nassistant: <b>turn 1</b>\n\nuser: <b>turn 2</b>"


def test_packing_loses_nothing_and_gives_the_same_bytes(tmp_path):
    rows = page_pairs.browsed(files(tmp_path, 7), seed=1)
    packed = page_pairs.packed(rows)
    columns = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] == rows
    assert packed == page_pairs.packed(rows)
