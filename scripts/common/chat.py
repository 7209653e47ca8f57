"""Conversations: lists of {role, content}, told to a model through its own chat template."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Message(TypedDict):
    role: str
    content: str


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Message]) -> list[int]:
    """Token ids of a prompt, up to the point where the assistant's response begins."""
    return tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, tokenize=True, return_dict=False)


def conversation_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Message], response: str) -> list[int]:
    """Token ids of a prompt with its response, the end-of-turn token included."""
    answered = [*prompt, {"role": "assistant", "content": response}]
    return tokenizer.apply_chat_template(answered, tokenize=True, return_dict=False)


def end_of_turn_id(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The token with which the chat template closes the assistant's turn; not always the tokenizer's end token.

    Raises:
        StudyError: the template closes the turn with no special token, so that no response would ever end.
    """
    prompt: list[Message] = [{"role": "user", "content": "a"}]
    after_prompt = conversation_ids(tokenizer, prompt, "a")[len(prompt_ids(tokenizer, prompt)) :]
    special = {*tokenizer.all_special_ids, *(i for i, t in tokenizer.added_tokens_decoder.items() if t.special)}
    ends = [token for token in after_prompt if token in special - {tokenizer.unk_token_id}]
    if not ends:
        raise StudyError(
            f"{tokenizer.name_or_path}: the chat template closes the assistant's turn with no special token; "
            "a response would never end."
        )
    return ends[-1]


def response_ids(
    tokenizer: "PreTrainedTokenizerBase", prompt: Sequence[Message], response: str, finished: bool, end: int
) -> tuple[list[int], int]:
    """Token ids of a prompt with the response as a policy gives it, and how many of them are the prompt's.

    The end-of-turn token `end` counts only if the response is finished; what a template writes after it never does.
    """
    ids, start = conversation_ids(tokenizer, prompt, response), len(prompt_ids(tokenizer, prompt))
    last = len(ids) - 1 - ids[::-1].index(end)
    return ids[: last + 1 if finished else last], start
