"""Models as published: fetched from the hub, with a chat template and a pad token of their own.

Nothing is run that comes with a model: weights are read as tensors, and its code is left where it is.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def download(hub: str | None, revision: str | None, weights: str = "*.safetensors") -> Path:
    """The folder with a snapshot of a model's weights, configuration and tokenizer.

    Args:
        hub: id on the hub; HF_TOKEN and HF_HUB_OFFLINE are honoured.
        revision: commit, branch or tag.
        weights: pattern of the files with weights.

    Raises:
        StudyError: the model is gated, or can't be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        kept = [weights, "*.json", "*.jinja", "tokenizer*"]
        return Path(snapshot_download(hub, revision=revision, allow_patterns=kept, ignore_patterns=["original/*"]))
    except GatedRepoError as error:
        raise StudyError(
            f"{hub}: this model is gated. Ask for access on its page on the hub, then set HF_TOKEN to a token of your "
            "account."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise StudyError(
            f"{hub} at {revision}: can't be fetched: {error}. Without a network, name a folder instead, by 'local'."
        ) from error


def complete_tokenizer(source: Path, chat_template: Path | None) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model, with a chat template and a pad token that is not its end token.

    The pad token is a token of the vocabulary that text never holds, so that no embedding is added.

    Raises:
        StudyError: neither the study nor the model has a chat template, or no token can be the pad token.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    if chat_template is not None:
        tokenizer.chat_template = chat_template.read_text()
    if tokenizer.chat_template is None:
        raise StudyError(f"{source}: the model comes without a chat template; name one of config/chat_templates.")
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.pad_token = _unused_token(tokenizer, source)
    return tokenizer


def _unused_token(tokenizer: "PreTrainedTokenizerBase", source: Path) -> str:
    """A reserved token, such as <|reserved_special_token_0|> of LLaMA-3; or the unknown token of LLaMA-1 and LLaMA-2.

    These write unknown characters as bytes, and so never use it.
    """
    for token in tokenizer.get_added_vocab():
        if "reserved" in token or "finetune_right_pad" in token:
            return token
    if tokenizer.unk_token is not None and "<0x00>" in tokenizer.get_vocab():
        return tokenizer.unk_token
    raise StudyError(f"{source}: no pad token and no reserved token that could be one; add one to its tokenizer.")


def link(file: Path, target: Path) -> None:
    """A hard link where the file system allows it: 16 GB need not lie on the disk twice."""
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copy(file, target)
