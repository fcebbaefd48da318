"""The papers' figures, computed live: a module for each, in which ``compute`` gives numbers and ``draw`` draws them.

To add one, write a module with ``compute(seed)`` and ``draw(numbers)`` and its line in ``wgan.registry.FIGURES``.
Numbers are a frozen dataclass of arrays, whose ``summary()`` has the few that tell the story.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wgan.errors import UsageError
from wgan.files import at_home, write_atomically
from wgan.limits import check_numbers
from wgan.registry import FIGURES, lookup
from wgan.surroundings import undisturbed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Numbers(Protocol):
    """What a figure shows."""

    def summary(self) -> Mapping[str, float | str]:
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

    def __str__(self) -> str:
        """The numbers that tell the story, in words."""
        pairs = self.numbers.summary().items()
        return ", ".join(f"{key} = {value if isinstance(value, str) else format(value, '.4g')}" for key, value in pairs)


@undisturbed
def make(name: str, seed: int = 0, out: Path | str | None = None) -> Drawing:
    """Compute one of the papers' figures, draw it, and save it if you say where.

    Args:
        name: A name in ``wgan.registry.FIGURES``.
        seed: What the random draws depend on, in the figures for which networks are trained.
        out: The PNG to write; its folder is made.

    Raises:
        UsageError: The name is unknown, the seed is below 0, or ``out`` does not end in ``.png``.
    """
    module = lookup(FIGURES, name, "figure")
    check_numbers(seed=seed)
    out = None if out is None else at_home(out)
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"--out: {str(out)!r} is no place for a figure; write {name}.png.")
    numbers = module.compute(seed)
    drawing = Drawing(numbers, module.draw(numbers))
    if out is not None:
        write_atomically(out, lambda temporary: drawing.figure.savefig(temporary, format="png"), parents=True)
    return drawing
