"""What a person is shown while a run trains; the command line shows it, the base class is silent."""

from collections.abc import Mapping
from typing import Any


class View:
    """Hears everything and shows nothing."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Data is being read: ``done`` of ``total``."""

    def facts(self, facts: Mapping[str, Mapping[str, str]]) -> None:
        """Before training: sections of names and values."""

    def note(self, text: str) -> None:
        """Something that the person should know."""

    def begin(self, steps: int | None, share: float) -> None:
        """Training begins: of so many generator steps, if they are counted, with this share of the budget used up."""

    def step(self, share: float, step: int) -> None:
        """A generator step is done, and this share of the budget is used up."""

    def tick(self, record: Mapping[str, Any]) -> None:
        """A record of measurements was logged."""

    def end(self) -> None:
        """Reading or training has ended, in whatever way."""
