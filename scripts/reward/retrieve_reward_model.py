"""A reward model as published, in the layout of those trained here: a scorer for runs, a baseline for tables.

The layout is a language model's body with a head `score` of one output, read at the last token: what transformers calls
LlamaForSequenceClassification, say. Weights that have it (FsfairX) are taken as they are. UltraRM-13B is a LLaMA body
whose head is called `regression_head`: its name is changed, and nothing else, so that no code of the model is needed
and both engines can score with it. Each model keeps a chat template of its own, and has a pad token that is not its end
token.

    python -m scripts.reward.retrieve_reward_model --hub openbmb/UltraRM-13b --revision main \\
        --chat-template config/chat_templates/ultrarm.jinja --output results/paper/models/reward/ultrarm
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.provenance import ROOT
from scripts.common.published_models import complete_tokenizer, download, link

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

HEAD = "score.weight"
ARCHITECTURES = {"regression_head.weight": "LlamaForSequenceClassification"}
"""Other names of a head -> the architecture of transformers that computes the same when the head is called `score`."""
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Args:
    output: command.Output
    """Folder of the reward model."""
    local: command.Input | None = None
    """Folder of a model on disk."""
    hub: str | None = None
    """Hub id; HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    revision: str | None = None
    chat_template: Path | None = None
    """Jinja file in this repository that tells how a conversation is written for the model; or the model's own."""
    allow_pickle: bool = False
    """Take weights that are published as pickles only; a pickle can run code, so that tensors alone are read."""


def main(args: Args) -> dict[str, Any]:
    source = args.local or _download(args.hub, args.revision, args.allow_pickle)
    files = weight_files(source, args.allow_pickle)
    head, holder = find_head(source, files)
    tokenizer = complete_tokenizer(source, args.chat_template and ROOT / args.chat_template)
    with publish(args.output) as folder:
        folder.mkdir()
        names: dict[str, str] = {}
        for file, tensors in files.items():
            target = folder / Path(file).with_suffix(".safetensors").name
            if (file == holder and head != HEAD) or target.suffix != Path(file).suffix:
                _write(source / file, target, head)
            else:
                link(source / file, target)
            names |= {HEAD if tensor == head else tensor: target.name for tensor in tensors}
        if len(files) > 1 or "model.safetensors" not in names.values():
            (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}, indent=1))
        _write_config(source, folder, head, tokenizer)
        tokenizer.save_pretrained(folder)
    return {"head": head, "pad_token": tokenizer.pad_token, "eos_token": tokenizer.eos_token}


def _download(hub: str | None, revision: str | None, allow_pickle: bool) -> Path:
    """The snapshot with safetensors; where the model has none, and pickles are allowed, with its older files."""
    folder = download(hub, revision)
    return download(hub, revision, "*.bin") if allow_pickle and not any(folder.glob("*.safetensors")) else folder


def weight_files(source: Path, allow_pickle: bool) -> dict[str, list[str]]:
    """The files that hold weights -> the names of their tensors.

    Raises:
        StudyError: there are none, or pickles only, and these are not allowed.
    """
    files = sorted(source.glob("*.safetensors")) or (sorted(source.glob("*.bin")) if allow_pickle else [])
    if not files or not (source / "config.json").is_file():
        raise StudyError(
            f"{source}: no config.json, or no weights as safetensors. Where they are published only as pickles "
            "(*.bin), which can run code, `allow_pickle: true` beside `external` takes the tensors out of them."
        )
    return {file.name: list(_read(file)) for file in files}


def find_head(source: Path, files: Mapping[str, list[str]]) -> tuple[str, str]:
    """The name of the reward's head, and the file that holds it.

    Raises:
        StudyError: no tensor has a name by which heads are known, or it has not the shape (1, hidden size).
    """
    known = [HEAD, *ARCHITECTURES]
    found = [(tensor, file) for file, tensors in files.items() for tensor in tensors if tensor in known]
    if len(found) != 1:
        raise StudyError(
            f"{source}: {len(found)} tensors are called {' or '.join(known)}; a reward model of a known kind has one. "
            "Kinds are told apart in scripts/reward/retrieve_reward_model.py."
        )
    hidden = json.loads((source / "config.json").read_text())["hidden_size"]
    head, file = found[0]
    if (shape := tuple(_read(source / file)[head].shape)) != (1, hidden):
        raise StudyError(f"{source / file}: {head} has the shape {shape}; a reward's head has {(1, hidden)}.")
    return head, file


def _read(file: Path) -> Mapping[str, "Tensor"]:
    """The tensors of a file, mapped into memory; a pickle may hold nothing else."""
    import pickle

    import torch
    from safetensors.torch import load_file

    if file.suffix == ".safetensors":
        return load_file(file)
    try:
        return torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError:
        raise StudyError(f"{file}: holds more than tensors, which could run code; it is not loaded.") from None


def _write(file: Path, target: Path, head: str) -> None:
    from safetensors.torch import save_file

    tensors = {HEAD if name == head else name: tensor.contiguous() for name, tensor in _read(file).items()}
    save_file(tensors, target, metadata={"format": "pt"})


def _write_config(source: Path, folder: Path, head: str, tokenizer: "PreTrainedTokenizerBase") -> None:
    """The configuration, for one output and the tokenizer's pad token, without pointers to the model's code."""
    config = json.loads((source / "config.json").read_text())
    if head in ARCHITECTURES:
        config["architectures"] = [ARCHITECTURES[head]]
    config |= {"id2label": {"0": "reward"}, "label2id": {"reward": 0}, "pad_token_id": tokenizer.pad_token_id}
    config.pop("auto_map", None)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    command.run(main, Args)
