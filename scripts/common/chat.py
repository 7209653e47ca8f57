"""Conversations: lists of {role, content}, told to a model through its own chat template."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

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
