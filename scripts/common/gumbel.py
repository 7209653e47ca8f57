"""Sampling without a generator: the noise of a token is a hash of who draws it, so no draw depends on another.

The Gumbel-max trick: if g_v are independent draws from the standard Gumbel distribution, then argmax_v (l_v / T + g_v)
is a sample from softmax(l / T). Here g_v is computed from (seed of the response, step, token id v) by a counter-based
hash, splitmix64. A generator has a state that every draw of the batch moves on; a hash has none: a response is the same
alone, in any batch, in any order.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_STEP, _TOKEN = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95  # odd, so that multiples of them never collide modulo 2**64
_MANTISSA = 52  # bits of the uniform draw; with half a unit added it lies strictly between 0 and 1 in float64


def sample(logits: "Tensor", temperatures: "Tensor", seeds: "Tensor", step: int) -> "Tensor":
    """One token for each row.

    Args:
        logits: (rows, vocabulary).
        temperatures: (rows,); 0 takes the likeliest token.
        seeds: (rows,), int64.
        step: how many tokens of the response came before.

    Returns:
        (rows,), int64.
    """
    noise = gumbel(seeds, step, logits.shape[-1])
    temperature = temperatures.double().unsqueeze(-1)
    # of a division by 0 nothing is taken; it must not be the likeliest token plus noise, however small the noise
    drawn = logits.double() / temperature.where(temperature > 0, 1.0) + noise
    return drawn.where(temperature > 0, logits.double()).argmax(-1)


def gumbel(seeds: "Tensor", step: int, vocabulary: int) -> "Tensor":
    """Standard Gumbel noise, (rows, vocabulary), float64, a function of its arguments alone."""
    import torch

    rows = _splitmix64(seeds + _signed(_STEP * (step + 1)))
    tokens = torch.arange(1, vocabulary + 1, device=seeds.device) * _signed(_TOKEN)
    bits = _shifted(_splitmix64(rows.unsqueeze(-1) + tokens), 64 - _MANTISSA)
    uniform = (bits.double() + 0.5) * 2.0**-_MANTISSA
    return -(-uniform.log()).log()


def _splitmix64(x: "Tensor") -> "Tensor":
    """The finaliser of splitmix64 on int64 tensors, whose products wrap around as those of unsigned integers do."""
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: "Tensor", bits: int) -> "Tensor":
    """Shift right and fill with zeros; torch's own shift of a signed integer fills with the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value
