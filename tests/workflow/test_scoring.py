"""The rewards of a trained model on a study's own rollouts: those of the plain model, however they are computed."""

from pathlib import Path

import pytest
import torch

from scripts.common import tables
from scripts.common.models import for_inference, load_reward_model, load_tokenizer
from scripts.common.scoring import open_scorer, tokenize

pytestmark = pytest.mark.workflow


def deviations(results: Path) -> dict[str, float]:
    """The largest difference to the shard of rewards, for each padding side and for bits computed in another way."""
    rollouts, folder = results / "rollouts/sft/length_bias/length_bias", results / "models/reward/mix2"
    rows = tables.read_table(rollouts / "responses/0.parquet", tables.RESPONSES).to_pylist()
    written = tables.read_table(rollouts / "rewards/mix2/0.parquet", tables.REWARDS)["reward"].to_pylist()
    tokenizer = load_tokenizer(folder)
    conversations = tokenize(tokenizer, [row["prompt"] for row in rows], [row["response"] for row in rows])
    found = {
        "reversed, one at a time": open_scorer("transformers", folder, "auto", 1).rewards(conversations[::-1])[::-1]
    }
    model = for_inference(load_reward_model(folder, "auto"))
    for side in ("left", "right"):
        tokenizer.padding_side = side
        batch = tokenizer.pad({"input_ids": [list(ids) for ids, _ in conversations]}, return_tensors="pt")
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            found[side] = model(**batch, position_ids=positions).logits[:, 0].tolist()
    return {name: max(abs(a - b) for a, b in zip(rewards, written, strict=True)) for name, rewards in found.items()}


def test_scores_do_not_move(built):
    for name, deviation in deviations(built.results).items():
        assert deviation <= 1e-4, name
