"""The base model: from the hub at a pinned revision, or a folder on disk, with the study's chat template installed.

Only safetensors are taken. A base model as published may have no pad token; one that is not the end token is chosen
from the reserved tokens of its vocabulary, so that no embedding is added and training learns to emit the end token.

    python -m scripts.sft.retrieve_model --hub meta-llama/Meta-Llama-3-8B --revision main \\
        --chat-template config/chat_templates/llama3.jinja --output results/paper/models/base
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.models import check_model_folder


@dataclass(frozen=True)
class Args:
    chat_template: command.Input
    """Jinja file that tells how a conversation is written for the model."""
    output: command.Output
    """Folder of the model with its tokenizer."""
    local: command.Input | None = None
    """Folder of a model on disk."""
    hub: str | None = None
    """Hub id; HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    revision: str | None = None


def main(args: Args) -> dict[str, Any]:
    from transformers import AutoTokenizer

    source = args.local or _download(args.hub, args.revision)
    check_model_folder(source)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = args.chat_template.read_text()
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.pad_token = _reserved_token(tokenizer, source)
    with publish(args.output) as folder:
        folder.mkdir()
        for file in sorted(source.iterdir()):
            if file.suffix == ".safetensors":
                _link(file, folder / file.name)
            elif file.name in {"config.json", "generation_config.json", "model.safetensors.index.json"}:
                shutil.copy(file, folder / file.name)
        tokenizer.save_pretrained(folder)
    return {"vocabulary": len(tokenizer), "pad_token": tokenizer.pad_token, "eos_token": tokenizer.eos_token}


def _download(hub: str | None, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        kept = ["*.safetensors", "*.json", "tokenizer*"]
        return Path(snapshot_download(hub, revision=revision, allow_patterns=kept, ignore_patterns=["original/*"]))
    except GatedRepoError as error:
        raise StudyError(
            f"{hub}: this model is gated. Ask for access on its page on the hub, then set HF_TOKEN to a token of your "
            "account."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise StudyError(
            f"{hub} at {revision}: can't be fetched: {error}. Without a network, give a folder as models.base.local."
        ) from error


def _reserved_token(tokenizer: Any, source: Path) -> str:
    """An unused special token of the vocabulary, such as <|reserved_special_token_0|> of Llama 3."""
    for token in tokenizer.get_added_vocab():
        if "reserved" in token or "finetune_right_pad" in token:
            return token
    raise StudyError(f"{source}: no pad token and no reserved token that could be one; add one to its tokenizer.")


def _link(file: Path, target: Path) -> None:
    """A hard link where the file system allows it: 16 GB need not lie on the disk twice."""
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copy(file, target)


if __name__ == "__main__":
    command.run(main, Args)
