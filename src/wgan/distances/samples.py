"""Samples as rows of float64, split by their content, and how far apart they are pairwise."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wgan.errors import UsageError

Array = NDArray[np.float64]

BLOCK = 2**22
"""Numbers that are computed at once where not all are needed together."""


def rows(x: Any) -> Array:
    """An array or tensor (N, ...) as float64 (N, D); numbers (N,) are vectors of one coordinate."""
    x = x.detach().cpu().double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x, np.float64)
    return np.ascontiguousarray(x.reshape(len(x), -1) if x.size else np.empty((0, 0)))


def checked(x: Any, y: Any, least: int = 1) -> tuple[Array, Array]:
    """Two sets of samples as float64 (N, D) and (M, D).

    Raises:
        UsageError: They have different dimensions, too few samples, or values that are not finite.
    """
    x, y = rows(x), rows(y)
    if min(len(x), len(y)) < least:
        raise UsageError(f"there are {len(x):,} and {len(y):,} samples; this distance needs at least {least} a side.")
    if x.shape[1] != y.shape[1]:
        raise UsageError(f"the samples have {x.shape[1]:,} and {y.shape[1]:,} numbers each; both must have the same.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("some samples have NaN or infinite values; remove them.")
    return x, y


def by_content(x: Array, seed: int) -> NDArray[np.int64]:
    """A random order of samples (N, D) that hangs on their content and the seed only, not on how they are sorted.

    What is in two sets has about the same place in both orders. So halves and folds of two sets that overlap, or
    are the same, correspond to each other, and no sample is ever compared with its own copy by accident. The copies of
    a sample within a set are spread, else the parts of discrete data would not be random samples.
    """
    key, seen, digests = str(seed).encode(), Counter[bytes](), []
    for row in x + 0.0:  # no -0.0
        content = hashlib.blake2b(row, digest_size=8, key=key).digest()
        seen[content] += 1
        digests.append(hashlib.blake2b(content + seen[content].to_bytes(8), digest_size=8, key=key).digest())
    return np.argsort(np.frombuffer(b"".join(digests), ">u8"), kind="stable")


def halves(x: Array, seed: int, most: int | None = None) -> tuple[Array, Array]:
    """Two disjoint random halves (N // 2, D), by content, or the first ``most`` samples of each."""
    order, half = by_content(x, seed), len(x) // 2
    return x[order[:half][:most]], x[order[len(x) - half :][:most]]


def squared_distances(x: Array, y: Array) -> Array:
    """Squared Euclidean distances (N, M), by one matrix product.

    That loses all digits where two samples are much nearer to each other than to the centre, so those pairs are done
    again by differences.
    """
    centre = _centre(x, y)
    x, y = x - centre, y - centre
    xx, yy = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    found: Array = x @ y.T
    found *= -2
    found += xx[:, None]
    found += yy
    step = max(1, BLOCK // len(y))
    for start in range(0, len(x), step):
        limit = xx[start : start + step, None] + yy
        limit *= 1e-6
        i, j = np.nonzero(found[start : start + step] < limit)
        _by_differences(found, x, y, i + start, j)
    return found


def _centre(x: Array, y: Array) -> Array:
    """About the middle of two sets, wherever a few outliers are: the further away it is, the more digits are lost."""
    few = (side[:: -(-len(side) // 100)] for side in (x, y))
    return np.asarray(sum(np.median(side, 0) for side in few) / 2)


def _by_differences(found: Array, x: Array, y: Array, i: NDArray[np.int64], j: NDArray[np.int64]) -> None:
    """Set the squared distances of the pairs (i, j)."""
    step = max(1, BLOCK // x.shape[1])
    for part in (slice(start, start + step) for start in range(0, len(i), step)):
        found[i[part], j[part]] = ((x[i[part]] - y[j[part]]) ** 2).sum(1)


def mean_over_pairs(x: Array, y: Array, of: Callable[[Array], Array]) -> float:
    """The mean of a function of the squared distance over all pairs, block by block, whatever N and M are."""
    return sum(float(of(block).sum()) for block in _blocks(x, y)) / (len(x) * len(y))


def _blocks(x: Array, y: Array) -> Iterator[Array]:
    step = max(1, BLOCK // len(y))
    return (squared_distances(x[start : start + step], y) for start in range(0, len(x), step))
