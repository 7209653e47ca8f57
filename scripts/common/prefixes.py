"""Conversations packed into one row of tokens, where those that begin alike share the beginning: it is computed once.

A row holds families one after another: a prefix, then its branches. A branch attends to the prefix and to itself, and
its positions go on from the prefix, so that every token sees what it would see in a conversation of its own. There is
no padding between, and nothing that a token must not see is computed and then masked away.

What comes out for a conversation depends on where its prefix ends and on its own tokens; not on its siblings, nor on
what else is in the row (promise 1). A matrix product gives other last bits when it is small or its size is odd, so a
row is filled up to `MINIMUM_TOKENS` and to a multiple of `STEP`: measured on the CPU, the results are then the same to
the bit; on other hardware nothing is promised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

MINIMUM_TOKENS, STEP = 256, 16


class Conversation(NamedTuple):
    """Token ids, of which the first `shared` may be shared with other conversations; at least one may not."""

    ids: Sequence[int]
    shared: int


@dataclass
class Family:
    """A prefix, and by their ids the branches that continue it: which conversations each of them is."""

    prefix: tuple[int, ...]
    branches: dict[tuple[int, ...], list[int]] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        return len(self.prefix) + sum(map(len, self.branches))


def families(conversations: Sequence[Conversation]) -> list[Family]:
    """Conversations by what they share; equal ones are one branch. In order of appearance."""
    found: dict[tuple[int, ...], Family] = {}
    for index, (ids, shared) in enumerate(conversations):
        prefix = tuple(ids[:shared])
        family = found.setdefault(prefix, Family(prefix))
        family.branches.setdefault(tuple(ids[shared:]), []).append(index)
    return list(found.values())


def rows(found: Sequence[Family], token_budget: int) -> Iterator[list[Family]]:
    """Families that make a row of at most `token_budget` tokens, or of a single branch.

    A family that does not fit is continued in the next row, with its prefix again.
    """
    row: list[Family] = []
    free = token_budget
    for family in found:
        part = Family(family.prefix)
        free -= len(family.prefix)
        for branch, indices in family.branches.items():
            if len(branch) > free and (row or part.branches):
                yield [*row, part] if part.branches else row
                row, part, free = [], Family(family.prefix), token_budget - len(family.prefix)
            part.branches[branch] = indices
            free -= len(branch)
        row.append(part)
    if row:
        yield row


class Span(NamedTuple):
    """Where a family lies in a row: its prefix, and the start, end and causal mask of each branch."""

    start: int
    prefix: int
    branches: list[tuple[int, int, "Tensor"]]


def last_hidden_states(model: "PreTrainedModel", row: Sequence[Family]) -> tuple[list[list[int]], "Tensor"]:
    """The body's output at the last token of every branch of a row.

    Args:
        model: prepared by `share_prefixes`.

    Returns which conversations each branch is, and hidden states of shape (branches, hidden size).
    """
    import torch

    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    spans: list[Span] = []
    masks: dict[tuple[int, int], torch.Tensor] = {}
    tokens = sum(family.tokens for family in row)
    filler = max(MINIMUM_TOKENS, -(-tokens // STEP) * STEP) - tokens
    for family in [*row, *([Family((), {(0,) * filler: []})] if filler > 0 else [])]:
        span = Span(len(ids), len(family.prefix), [])
        ids += family.prefix
        positions += range(len(family.prefix))
        for branch in family.branches:
            shape = len(branch), len(family.prefix)
            if shape not in masks:
                masks[shape] = _causal(*shape, model)
            span.branches.append((len(ids), len(ids) + len(branch), masks[shape]))
            ids += branch
            positions += range(len(family.prefix), len(family.prefix) + len(branch))
            ends.append(len(ids) - 1)
        spans.append(span)
    indices = [conversations for family in row for conversations in family.branches.values()]
    output = model.base_model(
        input_ids=torch.tensor([ids], device=model.device),
        position_ids=torch.tensor([positions], device=model.device),
        use_cache=False,
        spans=spans,
    )
    return indices, output.last_hidden_state[0, ends[: len(indices)]]


def can_share_prefixes(config: "PreTrainedConfig") -> bool:
    """Whether a model's attention is the plain one: causal, over all tokens, without a cap on its logits."""
    windowed = set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}
    sliding = getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)
    return not (windowed or sliding or getattr(config, "attn_logit_softcapping", None))


def share_prefixes(model: "PreTrainedModel") -> "PreTrainedModel":
    """Let a model attend along the spans of `last_hidden_states` from now on; it takes nothing else any more."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register("shared_prefixes", _attend)
    AttentionMaskInterface.register("shared_prefixes", lambda *args, **kwargs: None)
    model.set_attn_implementation("shared_prefixes")
    return model


def _causal(branch: int, prefix: int, model: "PreTrainedModel") -> "Tensor":
    """Added to the attention logits: 0 where a token of the branch may look, minus infinity at later tokens."""
    import torch

    late = torch.ones(branch, prefix + branch, dtype=torch.bool, device=model.device).triu(prefix + 1)
    return torch.zeros(late.shape, dtype=model.dtype, device=model.device).masked_fill_(late, float("-inf"))


def _attend(
    module: Any,
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: None,
    scaling: float,
    *,
    spans: Sequence[Span],
    **kwargs: Any,
) -> tuple["Tensor", None]:
    """Attention of transformers' interface; query, key and value are (1, heads, tokens, head size)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    options = {"scale": scaling, "enable_gqa": query.shape[1] != key.shape[1]}
    found = torch.empty_like(query)
    for start, prefix, branches in spans:
        shared = slice(start, start + prefix)
        if prefix:
            found[:, :, shared] = scaled_dot_product_attention(
                query[:, :, shared], key[:, :, shared], value[:, :, shared], is_causal=True, **options
            )
        for first, last, mask in branches:
            seen = [torch.cat([tensor[:, :, shared], tensor[:, :, first:last]], dim=2) for tensor in (key, value)]
            found[:, :, first:last] = scaled_dot_product_attention(
                query[:, :, first:last], *seen, attn_mask=mask, **options
            )
    return found.transpose(1, 2).contiguous(), None
