"""Which rows make up each global batch, whatever the number of processes: all see the same batches, each of full size.

`accelerate` fills up what is left of an epoch for each process apart, so that the last batch depends on their number;
and processes that resume in a later epoch get the first one's order again, since its seed does not reach them. Here an
epoch's last batch is filled up from the epoch's beginning, and the epoch follows from the step.

Within a batch rows lie in order of their length: a step's sum does not depend on it, and rows that are computed
together then need little padding, on all processes at the same time.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


class GlobalBatches(Sampler[int]):
    """Row numbers of one epoch: global batches one after the other, the longest rows of each first.

    Processes take turns: with B rows to a pass, the first B are the first process's, the next B the second's.
    """

    def __init__(self, rows: "Dataset", size: int, seed: int, step: Callable[[], int]) -> None:
        """A sampler of an epoch.

        Args:
            rows: tokenised; columns named `..._ids` hold a row's tokens.
            size: of a global batch.
            step: how many batches have been trained on.
        """
        self.rows = rows.with_format("arrow")
        self.size, self.seed, self.step = size, seed, step
        self.batches = -(-len(rows) // size)

    def __len__(self) -> int:
        return self.batches * self.size

    def __iter__(self) -> Iterator[int]:
        for batch in self.order(self.step() // self.batches).reshape(self.batches, self.size):
            yield from batch[np.argsort(-lengths(self.rows[batch]), kind="stable")].tolist()

    def order(self, epoch: int) -> np.ndarray:
        """Every row once, then as many from the beginning as the last batch lacks."""
        import torch

        shuffled = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(self.seed + epoch))
        return np.resize(shuffled.numpy(), len(self))


def lengths(rows: "pa.Table") -> np.ndarray:
    """Tokens of each row, (n,): of its longest side with the prompt, where it has sides."""
    import pyarrow.compute as pc

    tokens = {name: pc.list_value_length(rows[name]).to_numpy() for name in rows.column_names if name.endswith("_ids")}
    prompt = tokens.pop("prompt_ids", 0)
    return prompt + np.maximum.reduce(list(tokens.values()))
