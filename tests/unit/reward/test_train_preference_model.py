"""The pairwise preference model: the loss is that of the labels, packed or not, and the labels are learnt."""

import random

import numpy as np
import pytest
import torch

from scripts.common import tables
from scripts.common.chat import conversation_ids, prompt_ids
from scripts.common.config import Optimisation
from scripts.common.errors import StudyError
from scripts.common.models import load_policy
from scripts.common.preferences import LAYOUT, Comparison, LocalJudge, position_bias, probabilities
from scripts.reward import train_preference_model
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]


def comparison_rows(tokenizer, count, seed=0):
    """Responses of three words, of which the better one ends in w7; its position is random."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        good, bad = (" ".join([*draw.choices(WORDS[10:40], k=2), last]) for last in ("w7", "w8"))
        label = draw.choice("AB")
        text = LAYOUT.format(draw.choice(WORDS), *((good, bad) if label == "A" else (bad, good)))
        tokens = len(conversation_ids(tokenizer, user(text), label))
        rows.append(
            {"pair_id": f"{i}", "source": "s", "comparison": text, "label": label, "split": "train"}
            | {"tokens": tokens}
        )
    return rows


def train(folder, rows, base, **changes):
    tables.write_table(rows, folder / "comparisons.parquet", tables.COMPARISONS)
    settings = {"learning_rate": 3e-3, "global_batch": 2, "per_device_batch": 2, "adam_beta2": 0.98, "max_tokens": 128}
    settings |= {"dtype": "float32", "gradient_checkpointing": False} | changes
    args = train_preference_model.Args(folder / "comparisons.parquet", base, folder / "model", Optimisation(**settings))
    return train_preference_model.main(args)


def test_the_loss_is_that_of_label_and_end_of_each_comparison_alone(tmp_path, policy, tokenizer):
    """Ten comparisons packed into one block lose as much as read one by one: nothing leaks, nothing else is learnt."""
    rows = comparison_rows(tokenizer, 10)
    model = load_policy(policy, "float32").eval()
    losses = []
    for row in rows:
        ids = conversation_ids(tokenizer, user(row["comparison"]), row["label"])
        start = len(prompt_ids(tokenizer, user(row["comparison"])))
        with torch.inference_mode():
            logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        losses += [-logs[i - 1, ids[i]].item() for i in range(start, len(ids))]
    assert len(losses) == 20  # the label and the end of the turn
    facts = train(tmp_path, rows, policy, max_tokens=256, global_batch=1, per_device_batch=1)
    assert (facts["examples"], facts["steps"]) == (1, 1)
    assert facts["first_loss"] == pytest.approx(np.mean(losses), abs=1e-4)


def test_the_better_response_is_found_in_either_position(tmp_path, policy, tokenizer):
    train(tmp_path, comparison_rows(tokenizer, 1200), policy)
    judge = LocalJudge(tmp_path / "model", "float32")
    fresh = random.Random(1)
    pairs = [[" ".join([*fresh.choices(WORDS[10:40], k=2), last]) for last in ("w7", "w8")] for _ in range(50)]
    found = judge.log_odds([Comparison(user("w5"), good, bad) for good, bad in pairs])
    assert (probabilities(found) > 0.9).mean() > 0.9
    bias = position_bias(found)
    assert bias.flipped < 0.1
    assert bias.probability_of_a == pytest.approx(0.5, abs=0.1)


def test_comparisons_longer_than_a_block_are_refused(tmp_path, policy, tokenizer):
    rows = comparison_rows(tokenizer, 4)
    with pytest.raises(StudyError, match=rf"has {rows[0]['tokens']} tokens, more than a block of 9 .*--max-tokens 9"):
        train(tmp_path, rows, policy, max_tokens=9)


def test_no_training_comparisons(tmp_path, policy, tokenizer):
    rows = [row | {"split": "held_out"} for row in comparison_rows(tokenizer, 2)]
    with pytest.raises(StudyError, match="no row has split = train"):
        train(tmp_path, rows, policy)
