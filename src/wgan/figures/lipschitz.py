r"""Which functions are Lipschitz: :math:`|f(a) - f(b)| \le K |a - b|` for all :math:`a, b`, with one finite K.

Put a double cone of slope K on any point of the graph: the graph of a K-Lipschitz function never enters it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from wgan.arrays import Floats
from wgan.figures.style import BLUE, GREY, ORANGE, blank, tidy


@dataclass(frozen=True)
class Function:
    """A function on an interval.

    Attributes:
        label: How people write it.
        call: The function itself, on arrays.
        narrow: The interval that is drawn.
        wide: A larger interval, on which the slope of a function that is not Lipschitz is larger.
        apex: Where the cone is put.
    """

    label: str
    call: Callable[[Floats], Floats]
    narrow: tuple[float, float]
    wide: tuple[float, float]
    apex: float


FUNCTIONS = {
    "sin": Function(r"$\sin\,x$", np.sin, (-4.0, 4.0), (-8.0, 8.0), 1.0),
    "abs": Function(r"$|x|$", np.abs, (-4.0, 4.0), (-8.0, 8.0), 1.5),
    "square": Function(r"$x^2$", np.square, (-4.0, 4.0), (-8.0, 8.0), 1.0),
    "log": Function(r"$\log\,x$", np.log, (0.01, 4.0), (0.001, 8.0), 0.5),
}


@dataclass(frozen=True)
class Slopes:
    """Arrays by the name of the function.

    Attributes:
        x: Points of the drawn interval (N,).
        y: The function there (N,).
        slope: Its slope there (N,).
        narrow: The largest secant slope on the drawn interval.
        wide: The largest secant slope on the larger interval.
    """

    x: dict[str, Floats]
    y: dict[str, Floats]
    slope: dict[str, Floats]
    narrow: dict[str, float]
    wide: dict[str, float]

    def summary(self) -> dict[str, float]:
        """The largest secant slope of each function on both intervals."""
        return {f"{name}_{kind}": getattr(self, kind)[name] for name in self.x for kind in ("narrow", "wide")}


def compute(seed: int = 0) -> Slopes:
    """Sample the four functions and measure their slopes; nothing is random.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875
    """
    x = {name: np.linspace(*function.narrow, 4001) for name, function in FUNCTIONS.items()}
    y = {name: function.call(x[name]) for name, function in FUNCTIONS.items()}
    return Slopes(
        x,
        y,
        {name: np.gradient(y[name], x[name]) for name in x},
        {name: steepest_secant(function.call, *function.narrow) for name, function in FUNCTIONS.items()},
        {name: steepest_secant(function.call, *function.wide) for name, function in FUNCTIONS.items()},
    )


def steepest_secant(call: Callable[[Floats], Floats], low: float, high: float) -> float:
    """The largest :math:`|f(a) - f(b)| / |a - b|` of points on a fine grid; neighbours attain it."""
    x = (np.geomspace if low > 0 else np.linspace)(low, high, 100_001)  # finest where a logarithm is steep
    return float(np.abs(np.diff(call(x)) / np.diff(x)).max())


def draw(numbers: Slopes) -> Figure:
    """The functions with a cone of slope 1 above, their slopes below."""
    figure = blank(12, 5.6)
    axes = figure.subplots(2, len(FUNCTIONS), sharex="col")
    for (name, function), (top, bottom) in zip(FUNCTIONS.items(), axes.T, strict=True):
        x, y, slope = numbers.x[name], numbers.y[name], numbers.slope[name]
        apex = float(function.call(np.array(function.apex)))
        rise = np.abs(x - function.apex)
        inside = np.abs(y - apex) > rise + 1e-9
        low, high = (-2.2, 2.2) if name == "sin" else (y.min() - 0.8, min(y.max(), 8.0) + 0.8)
        top.fill_between(x, apex + rise, 99, color=GREY, alpha=0.18, linewidth=0)
        top.fill_between(
            x, apex - rise, -99, color=GREY, alpha=0.18, linewidth=0, label="cone of slope 1; slopes up to 1"
        )
        top.plot(x, y, color=BLUE, linewidth=2, label="function")
        top.plot(x, np.where(inside, y, np.nan), color=ORANGE, linewidth=3, label="inside the cone; steeper than 1")
        top.plot(function.apex, apex, "o", color="black", ms=5)
        growing = numbers.wide[name] > 1.5 * numbers.narrow[name]
        verdict = "not Lipschitz" if growing else f"{numbers.wide[name]:.2g}-Lipschitz"
        tidy(top, f"{function.label}: {verdict}", "", "f(x)" if name == "sin" else "", ylim=(low, high))
        top.set_xlim(*function.narrow)
        bottom.axhspan(-1, 1, color=GREY, alpha=0.18, linewidth=0)
        bottom.plot(x, slope, color=BLUE, linewidth=2)
        bottom.plot(x, np.where(np.abs(slope) > 1 + 1e-6, slope, np.nan), color=ORANGE, linewidth=3)
        tidy(bottom, "", "x", "slope f'(x)" if name == "sin" else "", ylim=(-2.4, 2.4) if not growing else (-9, 9))
    handles, labels = axes[0, 2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
