"""Model folders: what is missing or wrong is named."""

import json
import shutil

import pytest

from scripts.common.errors import StudyError
from scripts.common.models import load_policy, load_reward_model, load_tokenizer

pytest_plugins = ["tests.unit.engines_fixtures"]


@pytest.fixture
def copied(tmp_path, policy):
    return shutil.copytree(policy, tmp_path / "copied")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(StudyError, match=f"copied: the model folder has no {name}"):
        load_policy(copied, "float32")


def test_missing_part_of_the_weights_is_named(copied):
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(copied / "model.safetensors", copied / "model-1-of-2.safetensors")
    with pytest.raises(StudyError, match=r"has no model-2-of-2\.safetensors"):
        load_policy(copied, "float32")


def test_weights_cut_short(copied):
    weights = copied / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(StudyError, match="copied: the weights are damaged"):
        load_policy(copied, "float32")


def test_a_policy_is_no_reward_model(policy):
    with pytest.raises(StudyError, match=r"score\.weight are missing"):
        load_reward_model(policy, "float32")


def test_a_policy_becomes_a_reward_model_where_a_new_head_is_asked_for(policy, tokenizer):
    model = load_reward_model(policy, "float32", pad_token_id=tokenizer.pad_token_id)
    assert (model.config.num_labels, model.config.pad_token_id) == (1, tokenizer.pad_token_id)


@pytest.mark.parametrize("pad", [None, 1])
def test_pad_token_missing_or_equal_to_the_end_token(tmp_path, reward_model, pad):
    folder = shutil.copytree(reward_model, tmp_path / "reward")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": pad}))
    with pytest.raises(StudyError, match=f"pad_token_id is {pad}, eos_token_id 1"):
        load_reward_model(folder, "float32")


def test_tokenizer_without_chat_template(copied):
    (copied / "chat_template.jinja").unlink()
    with pytest.raises(StudyError, match="no chat template"):
        load_tokenizer(copied)


def test_pickled_weights_are_refused_unread(copied):
    (copied / "model.safetensors").unlink()
    (copied / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")  # would fail otherwise, if anything read it
    with pytest.raises(StudyError, match=r"copied: the weights are pickles \(pytorch_model\.bin\).*only safetensors"):
        load_policy(copied, "float32")


@pytest.mark.parametrize("kind", ["llama", "unknown"])
def test_code_that_comes_with_a_model_is_not_run(copied, kind):
    """Of a known kind it is passed over, of an unknown one the model is refused."""
    ran = copied / "ran"
    (copied / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    config = json.loads((copied / "config.json").read_text())
    own = dict.fromkeys(("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer"), "modeling_own.Own")
    (copied / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": own}))
    if kind == "unknown":
        with pytest.raises(StudyError, match=r"copied: .*code that came with the weights, which is never run"):
            load_policy(copied, "float32")
    else:
        assert type(load_policy(copied, "float32")).__module__.startswith("transformers.")
        assert type(load_tokenizer(copied)).__module__.startswith("transformers.")
    assert not ran.exists()
