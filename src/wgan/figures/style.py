"""The house style of the figures: matplotlib's objects, Okabe and Ito's colours, few lines."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wgan.curves import BLUE, GREEN, GREY, ORANGE

__all__ = ["BLUE", "GREEN", "GREY", "ORANGE", "PURPLE", "YELLOW", "blank", "tidy"]

YELLOW, PURPLE = "#E69F00", "#CC79A7"


def blank(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, at 150 dots an inch, that finds room for all labels."""
    figure = Figure(figsize=(width, height), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09)
    return figure


def tidy(axes: Axes, title: str, xlabel: str, ylabel: str, **settings: Any) -> None:
    """Give axes their words, a faint grid and no box; ``settings`` go to ``Axes.set``."""
    axes.set(xlabel=xlabel, ylabel=ylabel, **settings)
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
