"""Model folders: checked before they are loaded, loaded without running code that comes with them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["bfloat16", "float32"]


def check_model_folder(folder: Path) -> None:
    """Make sure that a folder holds a configuration, safetensors weights and a tokenizer.

    Raises:
        StudyError: names the folder and the file that is missing, or the pickles in its place.
    """
    index = folder / "model.safetensors.index.json"
    weights = ["model.safetensors"]
    if index.is_file():
        weights = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    for name in ("config.json", *weights, "tokenizer_config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            if name in weights and (pickles := sorted(path.name for path in folder.glob("*.bin"))):
                raise StudyError(
                    f"{folder}: the weights are pickles ({', '.join(pickles)}), which can run code when they are read; "
                    "only safetensors are. Take a revision that has these, or convert it where you trust it."
                )
            raise StudyError(
                f"{folder}: the model folder has no {name}. "
                "Delete the folder and build it again, or point to a complete one."
            )


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model folder, with its chat template."""
    from transformers import AutoTokenizer

    check_model_folder(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.chat_template is None:
        raise StudyError(f"{folder}: the tokenizer has no chat template; install the study's (models.chat_template).")
    return tokenizer


def load_policy(folder: Path, dtype: str, **options: Any) -> "PreTrainedModel":
    """A causal language model.

    Args:
        folder: of the model.
        dtype: the name of a torch type, or `auto` for that of the weights.
        options: for transformers, such as quantisation.
    """
    from transformers import AutoModelForCausalLM

    model, missing = _load(AutoModelForCausalLM, folder, dtype, **options)
    _refuse_missing(folder, model, missing)
    return model


def load_reward_model(folder: Path, dtype: str, pad_token_id: int | None = None, **options: Any) -> "PreTrainedModel":
    """A sequence classifier with one output, the reward.

    Args:
        folder: a reward model; or, where `pad_token_id` is given, any language model, which gets a new head.
        dtype: the name of a torch type, or `auto` for that of the weights.
        pad_token_id: what the new reward model shall take for padding.
        options: for transformers, such as quantisation.

    Raises:
        StudyError: no head, another number of outputs, or a pad token that is missing or equal to the end token. The
            model reads its reward at the last token that is not padding, so with pad = end it would read elsewhere.
    """
    from transformers import AutoModelForSequenceClassification

    if pad_token_id is None:
        model, missing = _load(AutoModelForSequenceClassification, folder, dtype, **options)
        _refuse_missing(folder, model, missing)
    else:
        options |= {"num_labels": 1, "pad_token_id": pad_token_id}
        model, missing = _load(AutoModelForSequenceClassification, folder, dtype, **options)
        _refuse_missing(folder, model, [name for name in missing if not name.startswith("score.")])
    config = model.config
    if config.num_labels != 1:
        raise StudyError(f"{folder}: a reward model has 1 output; this one has {config.num_labels}.")
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    if config.pad_token_id is None or config.pad_token_id in ends:
        raise StudyError(
            f"{folder}/config.json: pad_token_id is {config.pad_token_id}, eos_token_id {config.eos_token_id}; rewards "
            "are read at the last token that is not padding, so a pad token distinct from the end token is needed."
        )
    return model


def for_inference(model: "PreTrainedModel") -> "PreTrainedModel":
    """The model without dropout, on the accelerator where there is one."""
    import torch

    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _load(auto_class: Any, folder: Path, dtype: str, **options: Any) -> tuple["PreTrainedModel", list[str]]:
    """The model and the names of the weights that the folder does not hold."""
    import torch
    from safetensors import SafetensorError

    check_model_folder(folder)
    try:
        model, loading = auto_class.from_pretrained(
            folder,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    except SafetensorError as error:
        raise StudyError(
            f"{folder}: the weights are damaged ({error}). Delete the folder and build it again."
        ) from None
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise StudyError(
            f"{folder}: transformers knows no model of this kind; it would take code that came with the weights, which "
            "is never run here. Take a model whose architecture transformers has."
        ) from None
    return model, sorted(loading["missing_keys"])


def _refuse_missing(folder: Path, model: "PreTrainedModel", missing: list[str]) -> None:
    if missing:
        raise StudyError(
            f"{folder}: the weights of {', '.join(missing)} are missing, so this is no {type(model).__name__}; "
            f"its config names {', '.join(model.config.architectures or ['no architecture'])}."
        )
