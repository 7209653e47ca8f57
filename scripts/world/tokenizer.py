"""The tokenizer of the miniature world: every word is a token, split at white space."""

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.provenance import ROOT
from scripts.world import facts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHAT_TEMPLATE = ROOT / "config" / "chat_templates" / "world.jinja"

PAD, END, UNKNOWN = "<|pad|>", "<|end|>", "<|unknown|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
PREFERENCE_MARKERS = ("[CONTEXT]", "[RESPONSE", "A]", "B]", "A", "B")
"""The words of the pairwise preference model's input (Section 2.2 of the paper), and its two labels."""


def vocabulary() -> list[str]:
    """All words that texts of the world are made of, sorted."""
    blank = dict.fromkeys(("word", "count", "category", "left", "right", "adjective", "item"), "")
    templates = [template.format(**blank) for family in facts.TEMPLATES.values() for template in family]
    sentences = [
        facts.belongs("", ""),
        *(facts.found_inside(category) for category in facts.CATEGORIES),
        facts.listing(0, "", []),
        facts.answer(0),
        facts.because(0, 0, 0),
        facts.compliance(""),
        *(facts.REFUSAL, facts.REFUSAL_DETAIL, facts.COMPLIANCE_DETAIL, "."),
        *facts.FILLERS,
    ]
    numbers = [str(number) for number in range(2 * max(facts.SUMMANDS) + 6)]  # with room for wrong answers
    names = [*facts.CATEGORIES, *facts.CATEGORY_OF, *facts.HARMFUL, *facts.HARMLESS, *facts.ADJECTIVES]
    headings = (*facts.POST_HEADINGS, facts.TITLE)
    texts = (*headings, *templates, *sentences, *numbers, *names, *facts.OPENERS)
    return sorted({word for text in texts for word in text.split()})


def build_tokenizer(chat_template: Path = CHAT_TEMPLATE) -> "PreTrainedTokenizerFast":
    """A word-level tokenizer with its chat template.

    The padding token differs from the end-of-turn token, or models would learn to ignore the end of a turn. Decoding
    joins words by single blanks, which is how the writers write.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = [PAD, END, UNKNOWN, *ROLES, *PREFERENCE_MARKERS, *vocabulary()]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=list(ROLES),
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = chat_template.read_text()
    return fast
