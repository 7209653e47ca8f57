"""Global batches: each row once an epoch, full batches, the same whatever the processes, and where a job resumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.global_batches import GlobalBatches, lengths

SIZES = {"n": st.integers(1, 40), "size": st.integers(1, 12), "seed": st.integers(0, 5)}


def rows(n: int):
    """Row i has i + 1 tokens on its longest side, the prompt's two included."""
    from datasets import Dataset

    sides = [("chosen_ids", "rejected_ids"), ("rejected_ids", "chosen_ids")]
    made = [{"prompt_ids": [0, 0], sides[i % 2][0]: [1] * i, sides[i % 2][1]: [1] * (i // 2)} for i in range(n)]
    return Dataset.from_list(made)


def epoch(n: int, size: int, seed: int, step: int = 0) -> np.ndarray:
    return np.array(list(GlobalBatches(rows(n), size, seed, lambda: step))).reshape(-1, size)


@settings(max_examples=40, deadline=None)
@given(**SIZES)
def test_an_epoch_has_every_row_and_only_its_last_batch_rows_of_its_beginning(n, size, seed):
    batches = epoch(n, size, seed)
    assert batches.shape == (-(-n // size), size)
    whole, last = batches[:-1].ravel().tolist(), batches[-1].tolist()
    rest = n - len(whole)
    assert len(set(whole)) == len(whole)
    assert set(whole) | set(last) == set(range(n))
    if n >= size:
        assert len(set(last)) == size  # nothing twice in one batch
        assert len(set(last) - set(whole)) == rest
        assert set(last) & set(whole) <= set(batches[0].tolist())


@settings(max_examples=20, deadline=None)
@given(**SIZES)
def test_rows_of_a_batch_go_from_long_to_short(n, size, seed):
    for batch in epoch(n, size, seed):
        assert (np.diff(batch) <= 0).all()  # row i has i + 3 tokens


def test_an_epoch_follows_from_the_step_wherever_a_job_resumes():
    first, second = epoch(20, 4, 1), epoch(20, 4, 1, step=5)
    assert not np.array_equal(first, second)
    for step in range(10):
        assert np.array_equal(epoch(20, 4, 1, step), first if step < 5 else second)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_share_each_batch_without_a_row_twice(processes):
    """As accelerate deals rows: a pass of two rows to each process in turn."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    sampler = GlobalBatches(rows(19), 8, 3, lambda: 0)
    passes = 8 // (2 * processes)
    shards = [
        list(BatchSamplerShard(BatchSampler(sampler, 2, drop_last=False), processes, rank)) for rank in range(processes)
    ]
    for step, batch in enumerate(epoch(19, 8, 3)):
        dealt = [row for shard in shards for one in shard[step * passes : (step + 1) * passes] for row in one]
        assert sorted(dealt) == sorted(batch.tolist())


def test_length_is_of_the_longest_side_with_the_prompt():
    import pyarrow as pa

    pairs = {"prompt_ids": [[1], [1, 2]], "chosen_ids": [[1, 2], []], "rejected_ids": [[1], [1]], "margin": [0.0, 1.0]}
    assert lengths(pa.table(pairs)).tolist() == [3, 3]
    assert lengths(pa.table({"input_ids": [[1, 2], [1]], "seq_lengths": [[1, 1], [1]]})).tolist() == [2, 1]
