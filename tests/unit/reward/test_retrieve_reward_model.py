"""Published reward models, made tiny in their own layouts: the rewards are those of the published definition."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from scripts.common.chat import conversation_ids
from scripts.common.errors import StudyError
from scripts.common.models import load_reward_model, load_tokenizer
from scripts.common.scoring import open_scorer, tokenize
from scripts.reward import retrieve_reward_model
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]

PROMPTS = [user(" ".join(WORDS[i : 2 * i + 1])) for i in range(1, 7) for _ in range(3)]
RESPONSES = [" ".join(WORDS[j : j + 1 + (5 * j) % 11]) for j in range(18)]


@pytest.fixture(scope="session")
def llama_tokenizer(tokenizer):
    """As LLaMA-1's: <s> and </s>, no pad token, bytes in the vocabulary, no chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", "<s>", "</s>", "<0x00>", "Human:", "Assistant:", *WORDS]
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def ultrarm(llama_config, head):
    """The reward as the model's card defines it: the head's output at the last token that the mask names."""
    from transformers import LlamaModel

    torch.manual_seed(5)
    body = LlamaModel(llama_config).eval()

    def reward(ids, mask):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            hidden = body(input_ids=ids, attention_mask=mask, position_ids=positions).last_hidden_state
        return (hidden @ head.T).squeeze(-1).gather(1, mask.cumsum(1).argmax(1, keepdim=True)).squeeze(-1)

    return body, reward


@pytest.fixture
def published(tmp_path, llama_tokenizer, llama_config):
    """UltraRM in its own layout and names, in two files; and its reward."""
    config = copy.deepcopy(llama_config)
    config.vocab_size, config.eos_token_id, config.pad_token_id = len(llama_tokenizer), 2, None
    head = torch.randn(1, config.hidden_size, generator=torch.Generator().manual_seed(6))
    body, reward = ultrarm(config, head)
    folder = tmp_path / "UltraRM"
    config.save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text())
    said |= {"architectures": ["LlamaRewardModel"], "auto_map": {"AutoModel": "modelling.LlamaRewardModel"}}
    (folder / "config.json").write_text(json.dumps(said))
    tensors = {f"model.{name}": tensor for name, tensor in body.state_dict().items()}
    layers = {name: tensor for name, tensor in tensors.items() if ".layers." in name}
    rest = {name: tensor for name, tensor in tensors.items() if name not in layers}
    save_file(layers, folder / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    save_file(rest | {"regression_head.weight": head}, folder / "model-00002-of-00002.safetensors")
    llama_tokenizer.save_pretrained(folder)
    return folder, reward


def retrieve(source, output, chat_template="config/chat_templates/ultrarm.jinja", allow_pickle=False):
    template = chat_template and Path(chat_template)
    return retrieve_reward_model.main(
        retrieve_reward_model.Args(output, local=source, chat_template=template, allow_pickle=allow_pickle)
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_ultrarm_gives_the_rewards_of_its_definition_on_either_padding_side(published, tmp_path, side):
    source, reward = published
    facts = retrieve(source, tmp_path / "rm")
    assert facts == {"head": "regression_head.weight", "pad_token": "<unk>", "eos_token": "</s>"}
    tokenizer = load_tokenizer(tmp_path / "rm")
    conversations = tokenize(tokenizer, PROMPTS, RESPONSES)
    found = open_scorer("transformers", tmp_path / "rm", "auto").rewards(conversations)
    tokenizer.padding_side = side
    batch = tokenizer.pad({"input_ids": [list(ids) for ids, _ in conversations]}, return_tensors="pt")
    assert found == pytest.approx(reward(batch["input_ids"], batch["attention_mask"]).tolist(), abs=1e-4)
    assert len({round(value, 4) for value in found}) == len(RESPONSES)


def test_ultrarms_template_is_that_of_its_card(published, tmp_path):
    retrieve(published[0], tmp_path / "rm")
    tokenizer = load_tokenizer(tmp_path / "rm")
    said = [*user("w1"), {"role": "assistant", "content": "w2"}, *user("w3")]
    text = tokenizer.apply_chat_template([*said, {"role": "assistant", "content": "w4 w5"}], tokenize=False)
    assert text == "<s>Human: w1\nAssistant: w2\nHuman: w3\nAssistant: w4 w5"
    ids = conversation_ids(tokenizer, said, "w4 w5")
    assert ids[-1] == tokenizer.convert_tokens_to_ids("w5")  # the reward is read here


def test_files_without_the_head_are_linked_and_no_code_is_pointed_to(published, tmp_path):
    source, _ = published
    retrieve(source, tmp_path / "rm")
    first = "model-00001-of-00002.safetensors"
    assert (tmp_path / "rm" / first).samefile(source / first)
    config = json.loads((tmp_path / "rm/config.json").read_text())
    assert config["architectures"] == ["LlamaForSequenceClassification"]
    assert "auto_map" not in config


def test_older_weights_are_read_as_tensors_and_nothing_else(published, tmp_path):
    from safetensors.torch import load_file

    source, _ = published
    retrieve(source, tmp_path / "rm")
    older = shutil.copytree(source, tmp_path / "older")
    for file in sorted(older.glob("*.safetensors")):
        torch.save(load_file(file), older / f"pytorch_{file.stem}.bin")
        file.unlink()
    with pytest.raises(StudyError, match=r"no weights as safetensors\. .*`allow_pickle: true`"):
        retrieve(older, tmp_path / "refused")
    retrieve(older, tmp_path / "same", allow_pickle=True)
    scores = [
        open_scorer("transformers", tmp_path / name, "auto").rewards(
            tokenize(load_tokenizer(tmp_path / name), PROMPTS, RESPONSES)
        )
        for name in ("rm", "same")
    ]
    assert scores[0] == scores[1]
    torch.save({"model.norm.weight": shutil.copy}, older / "pytorch_model-00003.bin")
    with pytest.raises(StudyError, match="holds more than tensors"):
        retrieve(older, tmp_path / "refused", allow_pickle=True)


@pytest.mark.parametrize("own_pad", [True, False])
def test_a_classifier_keeps_its_layout_template_and_pad_token(tmp_path, reward_model, tokenizer, own_pad):
    """As FsfairX; and one published with pad = end, which gets a reserved token for it."""
    source = shutil.copytree(reward_model, tmp_path / "fsfairx")
    expected = open_scorer("transformers", reward_model, "auto").rewards(tokenize(tokenizer, PROMPTS, RESPONSES))
    if not own_pad:
        other = copy.deepcopy(tokenizer)
        other.pad_token = other.eos_token
        other.add_special_tokens({"additional_special_tokens": ["<user>", "<assistant>", "w59"]})
        other.save_pretrained(source)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            text = (source / name).read_text().replace("w59", "<|reserved_0|>")
            (source / name).write_text(text)
        config = json.loads((source / "config.json").read_text())
        (source / "config.json").write_text(json.dumps({**config, "pad_token_id": config["eos_token_id"]}))
        with pytest.raises(StudyError, match="distinct from the end token"):
            load_reward_model(source, "auto")
    facts = retrieve(source, tmp_path / "rm", chat_template=None)
    assert facts["pad_token"] == ("<pad>" if own_pad else "<|reserved_0|>")
    found = open_scorer("transformers", tmp_path / "rm", "auto").rewards(
        tokenize(load_tokenizer(tmp_path / "rm"), PROMPTS, RESPONSES)
    )
    assert found == expected


def test_what_has_no_head_is_refused(tmp_path, policy):
    with pytest.raises(StudyError, match=r"0 tensors are called score\.weight or regression_head\.weight"):
        retrieve(policy, tmp_path / "rm")


def test_a_head_of_several_outputs_is_refused(tmp_path, reward_model):
    source = shutil.copytree(reward_model, tmp_path / "two")
    tensors = dict(retrieve_reward_model._read(source / "model.safetensors"))
    save_file(tensors | {"score.weight": torch.zeros(2, 64)}, source / "model.safetensors")
    with pytest.raises(StudyError, match=r"score\.weight has the shape \(2, 64\); a reward's head has \(1, 64\)"):
        retrieve(source, tmp_path / "rm")


def test_a_model_without_template_is_refused(published, tmp_path):
    with pytest.raises(StudyError, match="comes without a chat template"):
        retrieve(published[0], tmp_path / "rm", chat_template=None)
