"""Two histograms, wherever they come from, and all distances between them."""

import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wgan.arrays import Floats
from wgan.data.readers import read_array
from wgan.distances import discrete
from wgan.distances.samples import LARGEST, numbers
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.words import count, digits


@dataclass(frozen=True)
class Histograms:
    """How far apart two histograms are, A and B, by the functions of :mod:`wgan.distances.discrete`.

    All but the earth mover's distance hold the same bins against each other, and are None where A and B have others.

    Attributes:
        total_variation: The largest difference of the probabilities of any event, at most 1.
        kl_a_b: The Kullback-Leibler divergence KL(A || B), in nats; infinite where B has none in a bin that A has.
        kl_b_a: KL(B || A).
        cross_entropy_a_b: The mean surprise, in nats, where B is expected and A is drawn; infinite where ``kl_a_b`` is.
        cross_entropy_b_a: The same where A is expected and B is drawn.
        jensen_shannon: The Jensen-Shannon divergence, in nats, at most log 2.
        earth_mover: The least mean cost of turning A into B, in units of the cost or of the positions; None of bins
            with several axes and no cost.
        ground: What it costs to move: the way on the "line" or a given "cost"; None where ``earth_mover`` is.
        bins_a: Bins of A.
        bins_b: Bins of B.
        counts_a: The sum of A's counts, by which they were divided; None if A was probabilities.
        counts_b: The same of B.
        placed: Whether the positions on the line were given, which else are 0, 1, 2, ...; not in the JSON.
    """

    total_variation: float | None
    kl_a_b: float | None
    kl_b_a: float | None
    cross_entropy_a_b: float | None
    cross_entropy_b_a: float | None
    jensen_shannon: float | None
    earth_mover: float | None
    ground: Literal["line", "cost"] | None
    bins_a: int
    bins_b: int
    counts_a: int | None
    counts_b: int | None
    placed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, infinite ones as the text "infinite"."""
        fields = {name: "infinite" if value == math.inf else value for name, value in asdict(self).items()}
        del fields["placed"]
        return fields

    def __str__(self) -> str:
        return "\n".join(f"{name:19}{text}" for name, text in self._rows().items())

    def _rows(self) -> dict[str, str]:
        between = {"all others": "none: they hold the same bins against each other, and A and B have different ones"}
        if self.total_variation is not None:
            expected = f"{_nats(self.cross_entropy_a_b)} where B is expected and A is drawn"
            between = {
                "total variation": f"{digits(self.total_variation)} (at most 1)",
                "KL(A || B)": _nats(self.kl_a_b, ": B is 0 in a bin in which A is not"),
                "KL(B || A)": _nats(self.kl_b_a, ": A is 0 in a bin in which B is not"),
                "cross entropy": f"{expected}, {_nats(self.cross_entropy_b_a)} the other way round",
                "Jensen-Shannon": f"{_nats(self.jensen_shannon)} (at most {digits(math.log(2))})",
            }
        places = "in units of the positions" if self.placed else "positions 0, 1, 2, ..."
        how = f"on the line, {places}" if self.ground == "line" else "in units of the cost"
        grid = f"give --cost, of shape ({self.bins_a}, {self.bins_b}): bins on several axes are not on one line"
        sides = (("A", self.counts_a, self.bins_a), ("B", self.counts_b, self.bins_b))
        held = ", ".join(
            f"{name} has {'probabilities' if counts is None else _counted(counts)} in {count(bins, 'bin')}"
            for name, counts, bins in sides
        )
        held += "" if self.counts_a is self.counts_b is None else "; counts are divided by their sum"
        moved = grid if self.earth_mover is None else f"{digits(self.earth_mover)}, {how}"
        return {**between, "earth mover": moved, "histograms": held}


def compare_histograms(
    a: ArrayLike, b: ArrayLike, *, positions: ArrayLike | None = None, cost: ArrayLike | None = None
) -> Histograms:
    """Measure how far apart two histograms are, in every way that :mod:`wgan.distances.discrete` knows.

    Args:
        a: Counts or probabilities (K,), or of several axes: whole numbers are counts, and are divided by their sum;
            others must sum to 1.
        b: The same, in the same bins; with a cost it may have others, (L,).
        positions: Where the bins are on the line, finite (K,), in any order; by default at 0, 1, 2, ...
        cost: What it costs to move from each bin of ``a`` to each of ``b``, finite (K, L), in place of the line. Bins
            on several axes are in the order of ``numpy.ravel``.

    Raises:
        UsageError: A side is no histogram, their bins differ, or the positions or the cost do not suit them.
    """
    if positions is not None and cost is not None:
        raise UsageError("--positions: they say what it costs to move, and so does --cost; leave one of them out.")
    p, counts_a = _probabilities("A", a)
    q, counts_b = _probabilities("B", b)
    same, moved = p.shape == q.shape, None
    ground: Literal["line", "cost"] | None = None
    if cost is not None:
        moved, ground = discrete.earth_mover(p, q, cost), "cost"
    elif not same:
        raise UsageError(
            f"A has bins of shape {p.shape} and B of shape {q.shape}, but both must have the same bins, unless --cost "
            "says what it costs to move from each bin of A to each of B."
        )
    elif p.ndim == 1:
        moved, ground = discrete.earth_mover_line(p, q, positions), "line"
    elif positions is not None:
        raise UsageError(f"--positions: they are for bins on one axis, and these are on {p.ndim}; give --cost instead.")
    return Histograms(
        total_variation=discrete.total_variation(p, q) if same else None,
        kl_a_b=discrete.kullback_leibler(p, q) if same else None,
        kl_b_a=discrete.kullback_leibler(q, p) if same else None,
        cross_entropy_a_b=discrete.cross_entropy(p, q) if same else None,
        cross_entropy_b_a=discrete.cross_entropy(q, p) if same else None,
        jensen_shannon=discrete.jensen_shannon(p, q) if same else None,
        earth_mover=moved,
        ground=ground,
        bins_a=p.size,
        bins_b=q.size,
        counts_a=counts_a,
        counts_b=counts_b,
        placed=positions is not None,
    )


def read_numbers(text: str, name: str, commas: bool = True) -> NDArray[Any]:
    """The numbers that a person gives: the array of a .npy or .npz file, or some with commas (K,).

    Args:
        text: The file, or the numbers, as 3,5,10.
        name: What to call them in an error.
        commas: Whether they may be written out.

    Raises:
        UsageError: It is neither, or there is no such file.
        WganError: The file cannot be read.
    """
    path = at_home(text)
    if path.suffix.lower() in (".npy", ".npz"):
        if path.is_file():
            return read_array(path)
        raise UsageError(f"{name}: there is no file {text}.")
    with suppress(ValueError):
        if commas and "_" not in text:  # float takes 1_0 for 10
            return np.array([float(number) for number in text.split(",")])
    allowed = "a .npy or .npz file" + (", or numbers with commas, as 3,5,10" if commas else " with an array (K, L)")
    raise UsageError(f"{name}: {text!r} has no numbers that can be read; give {allowed}.")


def _probabilities(name: str, values: ArrayLike) -> tuple[Floats, int | None]:
    """Probabilities, and the sum of the counts that they were, if they were counts."""
    found = numbers(values, f"the numbers of {name}", "(K,)")
    if found.min(initial=0.0) < 0 or not 0 < found.max(initial=0.0) <= LARGEST or (found % 1).any():
        return discrete.probabilities(name, found), None
    total = found.sum()
    return discrete.probabilities(name, found / total), int(total)


def _counted(counts: int) -> str:
    """In as many digits as a float holds."""
    return count(counts, "count") if counts < 10**15 else f"{counts:.3g} counts"


def _nats(value: float | None, why: str = "") -> str:
    if value is None:
        return "none"
    return f"infinite{why}" if value == math.inf else f"{digits(value)} nats"
