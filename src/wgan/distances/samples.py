"""Samples as rows of float64, split by their content, and how far apart they are pairwise."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wgan.arrays import MANY, Floats, digest, from_tensor
from wgan.errors import UsageError
from wgan.words import first_line

BLOCK = 2**22
"""Numbers that are computed at once where not all are needed together."""

LARGEST = 1e150
"""Values beyond this overflow when they are squared."""

COPIES = 0.2
"""Where more of the samples than this share repeat others, all copies are taken to lie in the nature of the data."""


def numbers(x: Any, name: str, shape: str) -> Floats:
    """An array, tensor or nested list of real numbers as float64, in its own shape.

    Args:
        x: The array.
        name: What to call it, in the plural.
        shape: What it should look like, for the message.

    Raises:
        UsageError: These are no real numbers, some are masked, or lists have different lengths.
    """
    if np.ma.is_masked(x):
        raise UsageError(f"{name} have masked values; fill them in, or remove them.")
    try:
        found = from_tensor(x, name) if isinstance(x, torch.Tensor) else np.asarray(x)
    except ValueError as error:  # NumPy's word for lists of different lengths
        raise UsageError(f"{name} have different lengths; all must have as many numbers.") from error
    except (TypeError, RuntimeError) as error:  # of tensors in a list, or without numbers
        raise UsageError(f"{name} cannot be read as numbers ({first_line(error)}); give an array {shape}.") from error
    if found.dtype == object and all(isinstance(value, Real) for value in found.flat):
        found = found.astype(np.float64)  # fractions, or whole numbers beyond 64 bits
    if found.dtype.kind not in "buif" or found.ndim == 0:
        what = f"an array of {found.dtype}" if found.ndim else f"a {type(x).__name__}"
        raise UsageError(f"{name} are {what}, but they must be an array {shape} of real numbers.")
    return np.ascontiguousarray(found, np.float64)


def rows(x: Any) -> Floats:
    """An array or tensor (N, ...) as float64 (N, D); numbers (N,) are vectors of one coordinate.

    Raises:
        UsageError: These are no real numbers, or some are masked, or the samples have different lengths.
    """
    found = numbers(x, "the samples", "(N, D)")
    return found.reshape(len(found), math.prod(found.shape[1:]))


def checked(x: Any, y: Any, least: int = 1) -> tuple[Floats, Floats]:
    """Two sets of samples as float64 (N, D) and (M, D). Differences below 1e-150 lose digits where they are squared.

    Raises:
        UsageError: They are no real numbers, of different dimensions, too few, or have values that are not finite or
            too large to be squared.
    """
    x, y = rows(x), rows(y)
    if min(len(x), len(y)) < least:
        raise UsageError(f"there are {len(x):,} and {len(y):,} samples; this distance needs at least {least} a side.")
    if 0 in (x.shape[1], y.shape[1]):
        raise UsageError("the samples have no numbers in them; give arrays (N, D) with D of at least 1.")
    if x.shape[1] != y.shape[1]:
        raise UsageError(f"the samples have {x.shape[1]:,} and {y.shape[1]:,} numbers each; both must have the same.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("some samples have NaN or infinite values; remove them.")
    if (largest := max(float(max(side.max(), -side.min())) for side in (x, y))) > LARGEST:
        raise UsageError(
            f"some samples have values up to {largest:.3g}, too large to square; divide both by one number."
        )
    return x, y


def by_content(x: Floats, seed: int) -> NDArray[np.int64]:
    """A random order of samples (N, D) that depends on their content and the seed only, not on how they are sorted.

    The copies of a sample stay together, so that no part is measured on what another has. But where it is there more
    than five times, or more than a fifth of all samples are copies, they are spread: else the parts of discrete data
    would not be random samples.
    """
    return _shuffled(_contents(x), str(seed).encode())


def orders(x: Floats, y: Floats, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random orders of two sets in which a sample of one has the place of what became of it in the other.

    - Usually they go by content: what is in two sets has about the same place in both. So halves and folds of two sets
      that overlap, or are the same, correspond to each other, and no sample is ever compared with its own copy by
      accident.
    - Rows of y that were made from the rows of x, one each, keep to those: else one sample would be compared with what
      was made of it and another not, by accident.
    - Where samples are equal by mere chance, as in discrete data, either set has an order of its own: else none would
      ever be compared with its equals.
    """
    if _made_from(x, y):
        order = by_content(x, seed)
        return order, order
    sides = _contents(x), _contents(y)
    own = [b"" if _overlap(*sides) else digest(b"".join(sorted(side))) for side in sides]
    first, second = (_shuffled(side, str(seed).encode() + salt) for side, salt in zip(sides, own, strict=True))
    return first, second


def share_of_copies(x: Floats) -> float:
    """How many of the samples (N, D) repeat another one, as a share of them all; 0 if they are a single point."""
    contents = _contents(x)
    return _share(contents) if len(set(contents)) > 1 else 0.0


def _share(contents: list[bytes]) -> float:
    return 1 - len(set(contents)) / len(contents)


def _contents(x: Floats) -> list[bytes]:
    return [digest(row.tobytes()) for row in x + 0.0]  # no -0.0


def _shuffled(contents: list[bytes], key: bytes) -> NDArray[np.int64]:
    seen, counts, digests, discrete = Counter[bytes](), Counter(contents), [], _share(contents) > COPIES
    for content in contents:
        seen[content] += 1
        digests.append(digest(content + (seen[content] if discrete or counts[content] > MANY else 1).to_bytes(8), key))
    return np.argsort(np.frombuffer(b"".join(digests), ">u8"), kind="stable")


def _overlap(x: list[bytes], y: list[bytes]) -> bool:
    """Whether equal samples of two sets are the same ones, and not equal by chance.

    Of samples of one distribution that are there twice in all, as many are in both sets as are twice in one of them, or
    fewer where the sets differ in size or distribution.
    """
    n, m = Counter(x), Counter(y)
    counts = [(n[content], m[content]) for content in n | m]
    both, alone = counts.count((1, 1)), counts.count((2, 0)) + counts.count((0, 2))
    nearly_equal = sum(abs(k - other) for k, other in counts) <= math.sqrt(len(x) + len(y)) / 10
    no_copies = len(n) == len(x) and len(m) == len(y)
    return both > 2 * alone or nearly_equal or no_copies


def _made_from(x: Floats, y: Floats) -> bool:
    """Whether each row of x is nearer to the same row of y than to the next one, five standard errors in the mean."""
    if len(x) != len(y) or len(x) < 2:
        return False
    nearer = np.linalg.norm(x - np.roll(y, -1, 0), axis=1) - np.linalg.norm(x - y, axis=1)
    return bool(nearer.mean() > 5 * nearer.std() / np.sqrt(len(x)))


def halves(x: Floats, order: NDArray[np.int64], most: int | None = None) -> tuple[Floats, Floats]:
    """Two disjoint halves (N // 2, D) in a random order, or the first ``most`` samples of each."""
    half = len(x) // 2
    return x[order[:half][:most]], x[order[len(x) - half :][:most]]


def both_halves(
    x: Any, y: Any, seed: int, most: int | None = None
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Two disjoint halves of each set, all of one size; rows of y that were made from rows of x fall where these do.

    Of each at most ``most`` samples, a random choice.

    Raises:
        UsageError: The samples do not suit each other, or a side has only one.
    """
    x, y = checked(x, y, least=2)
    half = min(len(x) // 2, len(y) // 2, most or len(x))
    first, second = orders(x, y, seed)
    return halves(x, first, half), halves(y, second, half)


def squared_distances(x: Floats, y: Floats) -> Floats:
    """Squared Euclidean distances (N, M), by one matrix product.

    That loses all digits where two samples are much nearer to each other than to the centre, so those pairs are done
    again by differences.
    """
    centre = _centre(x, y)
    x, y = x - centre, y - centre
    xx, yy = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)
    found: Floats = x @ y.T
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


def _centre(x: Floats, y: Floats) -> Floats:
    """About the middle of two sets, wherever a few outliers are: the further away it is, the more digits are lost."""
    few = (side[:: -(-len(side) // 100)] for side in (x, y))
    return np.asarray(sum(np.median(side, 0) for side in few) / 2)


def _by_differences(found: Floats, x: Floats, y: Floats, i: NDArray[np.int64], j: NDArray[np.int64]) -> None:
    """Set the squared distances of the pairs (i, j)."""
    step = max(1, BLOCK // x.shape[1])
    for part in (slice(start, start + step) for start in range(0, len(i), step)):
        found[i[part], j[part]] = ((x[i[part]] - y[j[part]]) ** 2).sum(1)


def mean_over_pairs(x: Floats, y: Floats, of: Callable[[Floats], Floats]) -> float:
    """The mean of a function of the squared distance over all pairs, block by block, whatever N and M are."""
    return sum(float(of(block).sum()) for block in _blocks(x, y)) / (len(x) * len(y))


def _blocks(x: Floats, y: Floats) -> Iterator[Floats]:
    step = max(1, BLOCK // len(y))
    return (squared_distances(x[start : start + step], y) for start in range(0, len(x), step))
