"""A pretrained model, base or instruct: from the hub at a pinned revision, or a folder on disk.

It gets the study's chat template. Only safetensors are taken. A base model as published may have no pad token; one that
is not the end token is chosen from the reserved tokens of its vocabulary, so that no embedding is added and training
learns to emit the end token.

    python -m scripts.sft.retrieve_model --hub meta-llama/Meta-Llama-3-8B --revision main \\
        --chat-template config/chat_templates/llama3.jinja --output results/paper/models/base
"""

import shutil
from dataclasses import dataclass
from typing import Any

from scripts.common import command
from scripts.common.files import publish
from scripts.common.models import check_model_folder
from scripts.common.published_models import complete_tokenizer, download, link


@dataclass(frozen=True)
class Args:
    output: command.Output
    """Folder of the model with its tokenizer."""
    chat_template: command.Input | None = None
    """Jinja file that tells how a conversation is written for the model; without it the model's own is kept."""
    local: command.Input | None = None
    """Folder of a model on disk."""
    hub: str | None = None
    """Hub id; HF_TOKEN and HF_HUB_OFFLINE are honoured."""
    revision: str | None = None


def main(args: Args) -> dict[str, Any]:
    source = args.local or download(args.hub, args.revision)
    check_model_folder(source)
    tokenizer = complete_tokenizer(source, args.chat_template)
    with publish(args.output) as folder:
        folder.mkdir()
        for file in sorted(source.iterdir()):
            if file.suffix == ".safetensors":
                link(file, folder / file.name)
            elif file.name in {"config.json", "generation_config.json", "model.safetensors.index.json"}:
                shutil.copy(file, folder / file.name)
        tokenizer.save_pretrained(folder)
    facts = {"vocabulary": len(tokenizer), "pad_token": tokenizer.pad_token, "eos_token": tokenizer.eos_token}
    return facts | ({"commit": source.name} if args.hub else {})  # the snapshot's folder bears its commit's name


if __name__ == "__main__":
    command.run(main, Args)
