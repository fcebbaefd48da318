"""The axes on which curves can be read."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from wgan.arrays import Floats


class Scale(NamedTuple):
    """A vertical axis: linear, log or symlog (linear below the threshold); limits only if values are cut."""

    name: str
    threshold: float = 1.0
    low: float | None = None
    high: float | None = None


def choose_scale(series: Sequence[Floats], early: Sequence[int] = ()) -> Scale:
    """Chooses the vertical axis on which all of some curves, each (n,) in the order of time, can be read.

    Positive values over a factor of more than 20 get a logarithmic axis, others over two orders of magnitude a
    symlog one. On a linear axis a few outliers in the first tenth of a curve are cut, and on a logarithmic one very
    small values there; later ones never are: they are news.

    Args:
        series: The values.
        early: How many first values of each curve say nothing of what is usual.
    """
    first = [*early, *[0] * (len(series) - len(early))]
    values, later_on = np.concatenate(series), np.concatenate([v[n:] for v, n in zip(series, first, strict=True)])
    late = np.concatenate([v[max(n, len(v) // 10) :] for v, n in zip(series, first, strict=True)])
    sizes, later = (np.abs(v[v != 0]) for v in (values, late))
    if not len(later):
        return Scale("linear")
    small, usual = np.quantile(sizes, (0.05, 0.98))
    if max(usual, later.max()) > 20 * small and values.min() > 0:
        lowest = min(small / 10, late.min())
        return Scale("log", low=lowest if values.min() < lowest else None)
    small, large = np.quantile(later, 0.05), later.max()
    if large > 100 * small:
        return Scale("symlog", threshold=10.0 ** math.floor(math.log10(max(small, large / 1e4))))
    low, high = np.quantile(later_on, (0.02, 0.98))
    low, high = min(low, late.min()), max(high, late.max())
    span = high - low
    shown = values[(values >= low - span) & (values <= high + span)]
    if len(shown) == len(values) or span == 0:
        return Scale("linear")
    return Scale("linear", low=shown.min() - 0.08 * span, high=shown.max() + 0.08 * span)


def label_ticks(axes: Axes) -> None:
    """Write steps as whole numbers, and the values of a logarithmic axis as 0.5 or 20 rather than as powers of 10."""
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
