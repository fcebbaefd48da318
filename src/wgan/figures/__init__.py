"""The papers' figures, computed live: a module for each, in which ``compute`` gives numbers and ``draw`` draws them.

To add one, write a module with ``compute(seed)`` and ``draw(numbers)`` and its line in ``wgan.registry.FIGURES``.
Numbers are a frozen dataclass of arrays, whose ``summary()`` has the few that tell the story.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wgan.errors import UsageError
from wgan.files import write_atomically
from wgan.registry import FIGURES, lookup

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Numbers(Protocol):
    """What a figure shows."""

    def summary(self) -> dict[str, float | str]:
        """The numbers that tell the story, by name; plain JSON values."""


@dataclass(frozen=True)
class Drawing:
    """A figure with the numbers that it was drawn from.

    Attributes:
        numbers: A frozen dataclass; each figure has its own.
        figure: A matplotlib figure.
    """

    numbers: Numbers
    figure: Figure

    def save(self, path: Path | str) -> None:
        """Write the figure as a PNG, creating its folder.

        Raises:
            UsageError: The name does not end in ``.png``.
        """
        out = Path(path)
        if out.suffix.lower() != ".png":
            raise UsageError(f"--out is {str(path)!r}, but figures are saved as PNG: give a name that ends in .png.")
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, lambda temporary: self.figure.savefig(temporary, format="png"))


def make(name: str, seed: int = 0) -> Drawing:
    """Compute one of the papers' figures and draw it.

    Args:
        name: A name in ``wgan.registry.FIGURES``.
        seed: What the random draws hang on, in the figures for which networks are trained.

    Raises:
        UsageError: The name is unknown or the seed is below 0.
    """
    if seed < 0:
        raise UsageError(f"--seed: {seed} is too small; at least 0 is allowed.")
    module = lookup(FIGURES, name, "figure")
    numbers = module.compute(seed)
    return Drawing(numbers, module.draw(numbers))
