"""Low-rank adapters (Hu et al., 2022): frozen weights W, to which training adds alpha / rank * B A.

With `quantise: nf4` the frozen weights take 4 bits while the adapter is trained (QLoRA, Dettmers et al., 2023).
Checkpoints hold the adapter alone. What is published is a whole model, with the adapter beside it: no other stage knows
of adapters. Every function here does nothing where the rank is 0.
"""

import copy
import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.common.config import Lora
from scripts.common.errors import StudyError
from scripts.common.files import remove
from scripts.common.models import Dtype

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel

ADAPTER = "adapter"
"""Folder within a published model's that holds the adapter which made it."""


def adapter_config(lora: Lora, task: Literal["CAUSAL_LM", "SEQ_CLS"]) -> "LoraConfig | None":
    """The adapter in PEFT's words; a classifier's head, which starts anew, is trained and saved whole."""
    if not lora.rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules) or "all-linear",
        task_type=task,
    )


def loading(lora: Lora, dtype: Dtype) -> dict[str, Any]:
    """How a model is loaded that gets an adapter, or that is the reference of one that does: in 4 bits, if asked.

    Raises:
        StudyError: bitsandbytes is not installed.
    """
    if lora.quantise == "none":
        return {}
    if find_spec("bitsandbytes") is None:
        raise StudyError("lora.quantise: nf4 needs bitsandbytes: pip install bitsandbytes, or leave quantise out.")
    import torch
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    # quantised where it will stay: of several processes each on its own GPU
    device = int(os.environ.get("LOCAL_RANK", 0)) if torch.cuda.is_available() else "cpu"
    return {"quantization_config": settings, "device_map": {"": device}}


def settle(model: "PreTrainedModel", lora: Lora) -> None:
    """What TRL changes when it takes a model is set right: adapters in float32, and the dropout that was asked for.

    TRL makes the adapters of a quantised model bfloat16, where most updates would be lost to rounding; and its trainers
    of DPO and reward models switch all dropout off.
    """
    if not lora.rank:
        return
    import torch
    from peft.tuners.lora import LoraLayer

    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, LoraLayer):
            for dropout in module.lora_dropout.values():
                if isinstance(dropout, torch.nn.Dropout):
                    dropout.p = lora.dropout
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    print(f"adapter: {trained:,} parameters are trained")


def merge(trained: "PreTrainedModel", folder: Path, lora: Lora, dtype: Dtype) -> None:
    """Complete a folder in which a trainer saved its adapter: the whole model W + alpha / rank * B A.

    It is summed up in float32, with W read anew, never from 4 bits; the model in training is left as it is.

    Args:
        trained: the model with its adapter.
        folder: where the trainer saved it.
        dtype: of the weights as they are written.
    """
    if not lora.rank:
        return
    import torch
    from peft import PeftModel

    (folder / ADAPTER).mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).rename(folder / ADAPTER / name)
    remove(folder / "README.md")
    _without_chance(folder / ADAPTER / "adapter_config.json")
    base = trained.get_base_model()
    config = copy.deepcopy(base.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.random.fork_rng(devices=[]):  # new layers draw numbers before they are filled, and training may go on
        whole = type(base).from_pretrained(
            base.name_or_path, config=config, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        merged = PeftModel.from_pretrained(whole, folder / ADAPTER).merge_and_unload(safe_merge=True)
    merged.to(getattr(torch, dtype)).save_pretrained(folder)


def _without_chance(file: Path) -> None:
    """The order of a set and the place of the base are not the same in every run; the bytes of a model are."""
    settings = json.loads(file.read_text())
    if isinstance(settings["target_modules"], list):
        settings["target_modules"].sort()
    settings["base_model_name_or_path"] = None
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
