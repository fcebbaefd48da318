"""Which samples are held out: the official test split as it is, else those that a hash of their content chooses.

A hash keeps accidental copies of a sample on its side. The copies in discrete data are no accident, but draws of their
own, and kept together they would take whole categories away from one side; so those are chosen one by one.
"""

import numpy as np
from numpy.typing import NDArray

from wgan import arrays
from wgan.errors import UsageError

MOST = 10_000
"""A share never holds out more than this."""

FEW = 500
"""Below this many samples, a report says what to expect."""


def digest(sample: NDArray[np.generic]) -> int:
    """64 bits of BLAKE2b over a sample's bytes."""
    return int.from_bytes(arrays.digest(np.ascontiguousarray(sample).data), "little")


def digests_of(samples: NDArray[np.generic]) -> NDArray[np.uint64]:
    """The digest of every sample: (N, ...) -> uint64 (N,)."""
    return np.fromiter((digest(sample) for sample in samples), np.uint64, len(samples))


def hash_of(digests: NDArray[np.uint64]) -> str:
    """One hash of all samples in their order, from the digest of each (N,)."""
    return arrays.digest(digests.tobytes()).hex()


def duplicates_in(digests: NDArray[np.uint64]) -> int:
    """How many samples repeat an earlier one."""
    return len(digests) - len(np.unique(digests))


def split(
    digests: NDArray[np.uint64], held_out: float, official: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows held out, each in ascending order.

    Held out are the samples with the smallest digests; equal digests stay on one side, so the number may
    differ a little from what was asked for. Of a sample that is there more than five times each copy is chosen by
    itself. Where all samples are equal, both sides are all of them.

    Args:
        digests: uint64 (N,).
        held_out: A share below 1, or a whole number.
        official: Where the official test split begins, if there is one. A whole number then takes so many of
            it.

    Raises:
        UsageError: ``held_out`` is not positive, not whole, or leaves nothing.
    """
    if not held_out > 0 or (held_out >= 1 and held_out % 1 != 0):
        raise UsageError(f"--held-out: {held_out:g} must be a share between 0 and 1 or a whole number of samples.")
    rows = np.arange(len(digests))
    if official is not None:
        test = rows[official:]
        return rows[:official], test if held_out < 1 else _smallest(digests, test, int(held_out))
    if len(np.unique(digests)) == 1:
        return rows, rows
    if held_out >= len(digests):
        raise UsageError(
            f"--held-out: {held_out:g}, but of {len(digests):,} samples at least one must be left to train on."
        )
    wanted = int(held_out) if held_out >= 1 else min(MOST, round(held_out * len(digests)))
    chosen = _whole_groups(_one_by_one(digests), max(1, wanted))
    return rows[~chosen], rows[chosen]


def _smallest(digests: NDArray[np.uint64], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if count > len(rows):
        raise UsageError(f"--held-out: {count}, but the official test split has {len(rows)} samples.")
    return np.sort(rows[np.argsort(digests[rows], kind="stable")[:count]])


def _one_by_one(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The digests (N,), but of samples that are there many times with how many of their copies come before."""
    order = np.argsort(digests, kind="stable")
    firsts, counts = np.unique(digests[order], return_index=True, return_counts=True)[1:]
    earlier, many = np.empty(len(digests), np.uint64), np.empty(len(digests), np.bool_)
    earlier[order] = np.arange(len(digests)) - np.repeat(firsts, counts)
    many[order] = np.repeat(counts > arrays.MANY, counts)
    found = digests.copy()
    found[many] = digests_of(np.stack([digests, earlier], 1)[many])
    return found


def _whole_groups(digests: NDArray[np.uint64], wanted: int) -> NDArray[np.bool_]:
    """A mask of about ``wanted`` samples that takes groups of duplicates whole and leaves at least one."""
    groups, counts = np.unique(digests, return_counts=True)
    totals = np.cumsum(counts)[:-1]
    nearest = int(np.argmin(np.abs(totals - wanted)))
    chosen: NDArray[np.bool_] = digests <= groups[nearest]
    return chosen


def split_notes(digests: NDArray[np.uint64], train: int, held_out: int, official: bool) -> list[str]:
    """What to expect of a split into so many samples to train on and so many held out, official or not."""
    count = len(digests)
    if train + held_out > count:
        why = "all samples are equal" if count > 1 else "there is a single sample"
        return [f"{why}, so the held-out ones are those trained on: held-out numbers say nothing."]
    notes = []
    if not official and np.unique(digests, return_counts=True)[1].max() > arrays.MANY:
        notes.append(
            "some samples occur more than five times, so these are taken as draws of discrete data: copies of one may "
            "be both trained on and held out; if they are there by accident, remove them."
        )
    if count < FEW:
        notes.append(
            f"only {count} samples: the critic can memorise them and the generator copy them; "
            "watch the gap between training and held-out, and stop when it opens."
        )
    return notes
