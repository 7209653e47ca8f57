"""RewardBench through an endpoint: the judge's letters and probabilities in the table of scores."""

import math

import pytest

from scripts.common import tables
from scripts.reward import ask_pairs
from tests.unit.chat_server import serve


@pytest.fixture
def bench(tmp_path):
    rows = [
        {"id": i, "subset": "hep-go", "prompt": f"q{i}", "chosen": f"good {i}", "rejected": f"bad {i}"}
        for i in range(6)
    ]
    tables.write_table(rows, tmp_path / "bench.parquet", tables.REWARD_BENCH)
    return tmp_path / "bench.parquet"


def letter(body):
    """A judge that knows good from bad, but answers A to q1 and nothing to q2."""
    asked = body["messages"][-1]["content"]
    if "q2" in asked:
        return {"content": "I can't say."}
    return {"content": "A" if "q1" in asked or asked.index("good") < asked.index("bad") else "B"}


def test_letters(bench, tmp_path):
    output = tmp_path / "scores.parquet"
    with serve() as server:
        server.answer = letter
        args = ask_pairs.Args(bench, server.endpoint(), tmp_path / "replies", output)
        facts = ask_pairs.main(args)
        assert len(server.seen) == 12  # both orders
        ask_pairs.main(args)
        assert len(server.seen) == 12  # every reply was kept
    found = tables.read_table(output, tables.BENCH_SCORES).to_pylist()
    chosen = [math.exp(row["chosen_reward"]) for row in found]
    assert chosen == pytest.approx([1, 0.5, 0.5, 1, 1, 1], abs=1e-3)
    assert facts["unweighted_accuracy"] == (4 + 2 * 0.5) / 6
    assert facts["without_verdict"] == 1
    assert facts["flipped_by_order"] == 1 / 5
    assert facts["asked"] == 12


def test_a_single_order_asks_half(bench, tmp_path):
    with serve() as server:
        server.answer = letter
        endpoint = server.endpoint()
        ask_pairs.main(ask_pairs.Args(bench, endpoint, tmp_path / "r", tmp_path / "s.parquet", both_orders=False))
        assert len(server.seen) == 6
