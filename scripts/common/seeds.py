"""Seeds and hashes from identity: who is asking decides, never the order or the layout (promise 1)."""

import hashlib

SEED_BITS = 62  # leaves room below 2**63 for engines that add the index of a sample to the seed


def seed_from(*identity: object) -> int:
    """A seed in [0, 2**62) from the parts of an identity; the same parts give the same seed on every machine.

    >>> seed_from(1, "sft", "mixed") == seed_from(1, "sft", "mixed")
    True
    """
    text = "\x1f".join(map(str, identity))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - SEED_BITS)


def short_digest(*identity: object) -> str:
    """Sixteen hexadecimal digits naming an identity; used for prompt and pair ids made outside of SQL."""
    return hashlib.sha256("\x1f".join(map(str, identity)).encode()).hexdigest()[:16]
