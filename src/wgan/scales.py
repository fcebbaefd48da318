"""The vertical axis on which curves can be read."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Scale(NamedTuple):
    """A vertical axis: linear, log or symlog (linear below the threshold); limits only if values are cut."""

    name: str
    threshold: float = 1.0
    low: float | None = None
    high: float | None = None


def choose_scale(series: Sequence[Floats]) -> Scale:
    """Chooses the vertical axis on which all of some curves, each (n,) in the order of time, can be read.

    Positive values over a factor of more than 20 get a logarithmic axis, others over two orders of magnitude a
    symlog one. On a linear axis, a few outliers in the first tenth of a curve are cut; later ones never are: they are
    news.
    """
    values, late = np.concatenate(series), np.concatenate([v[len(v) // 10 :] for v in series])
    sizes = np.abs(values[values != 0])
    if not len(sizes):
        return Scale("linear")
    small, usual = np.quantile(sizes, (0.05, 0.98))
    large = max(usual, np.abs(late).max())
    if large > 20 * small and values.min() > 0:
        return Scale("log", low=small / 10 if values.min() < small / 10 else None)
    if large > 100 * small:
        return Scale("symlog", threshold=10.0 ** math.floor(math.log10(max(small, large / 1e4))))
    low, high = np.quantile(values, (0.02, 0.98))
    low, high = min(low, late.min()), max(high, late.max())
    span = high - low
    shown = values[(values >= low - span) & (values <= high + span)]
    if len(shown) == len(values) or span == 0:
        return Scale("linear")
    return Scale("linear", low=shown.min() - 0.08 * span, high=shown.max() + 0.08 * span)
