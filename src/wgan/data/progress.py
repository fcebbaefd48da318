"""How long work tells that it goes on: a callback, never a print."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(label, done, total)``."""


def quiet(label: str, done: int, total: int) -> None:
    """Tell nobody: the default."""
