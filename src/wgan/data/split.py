"""Which samples are held out: the official test split as it is, else those that a hash of their content chooses.

A hash keeps accidental copies of a sample on its side. The copies in discrete data are no accident, but draws of their
own, and kept together they would take whole categories away from one side; so there each copy is chosen by itself.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.errors import UsageError

MOST = 10_000
"""A share never holds out more than this."""

FEW = 500
"""Below this many samples, a report says what to expect."""


def digest(sample: NDArray[np.generic]) -> int:
    """64 bits of BLAKE2b over a sample's bytes."""
    return int.from_bytes(hashlib.blake2b(np.ascontiguousarray(sample).data, digest_size=8).digest(), "little")


def digests_of(samples: NDArray[np.generic]) -> NDArray[np.uint64]:
    """The digest of every sample: (N, ...) -> uint64 (N,)."""
    return np.fromiter((digest(sample) for sample in samples), np.uint64, len(samples))


def hash_of(digests: NDArray[np.uint64]) -> str:
    """One hash of all samples in their order, from the digest of each (N,)."""
    return hashlib.blake2b(digests.tobytes(), digest_size=8).hexdigest()


def duplicates_in(digests: NDArray[np.uint64]) -> int:
    """How many samples repeat an earlier one."""
    return len(digests) - len(np.unique(digests))


def split(
    digests: NDArray[np.uint64], held_out: float, official: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows held out, each in ascending order.

    Held out are the samples with the smallest digests; equal digests stay on one side, so the number may
    differ a little from what was asked for. Of discrete data each copy is chosen by itself. Where all samples are
    equal, both sides are all of them.

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
    chosen = _whole_groups(_one_by_one(digests) if is_discrete(digests) else digests, max(1, wanted))
    return rows[~chosen], rows[chosen]


def _smallest(digests: NDArray[np.uint64], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if count > len(rows):
        raise UsageError(f"--held-out: {count}, but the official test split has {len(rows)} samples.")
    return np.sort(rows[np.argsort(digests[rows], kind="stable")[:count]])


def is_discrete(digests: NDArray[np.uint64]) -> bool:
    """Whether samples are copies by their nature: each is there more than five times, on average, and there are two."""
    return 1 < len(np.unique(digests)) < len(digests) / 5


def _one_by_one(digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A digest for each copy (N,): of a sample's digest, and how many of its copies come before it."""
    order = np.argsort(digests, kind="stable")
    firsts, counts = np.unique(digests[order], return_index=True, return_counts=True)[1:]
    earlier = np.empty(len(digests), np.uint64)
    earlier[order] = np.arange(len(digests)) - np.repeat(firsts, counts)
    return digests_of(np.stack([digests, earlier], 1))


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
    if not official and is_discrete(digests):
        notes.append(
            "samples occur more than five times on average, so they are taken as draws of discrete data: copies of one "
            "may be both trained on and held out; if they are there by accident, remove them."
        )
    if count < FEW:
        notes.append(
            f"only {count} samples: the critic can memorise them and the generator copy them; "
            "watch the gap between training and held-out, and stop when it opens."
        )
    return notes


def no_picture_options(options: DataConfig, name: str) -> None:
    """Refuse options that only pictures have.

    Raises:
        UsageError: ``size``, ``fit``, ``channels``, ``value_range`` or ``flip`` is not the usual one.
    """
    usual = DataConfig()
    for option in ("size", "fit", "channels", "value_range", "flip"):
        if getattr(options, option) != getattr(usual, option):
            flag = "--" + option.replace("_", "-")
            raise UsageError(f"{flag} is for pictures, but {name} has vectors; leave it out.")
