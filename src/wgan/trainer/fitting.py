"""A training that goes on while it is iterated, and says so where nobody does."""

import warnings
from collections.abc import Iterator
from typing import Any, Protocol

from wgan.errors import UsageError

REMEDY = "it trains while it is iterated: write `for record in trainer.fit(...)`, or `list(trainer.fit(...))`."


class Trains(Protocol):
    """What takes steps and measures."""

    step: int

    def advance(self) -> None:
        """Take one generator step, after the critic steps that go before it."""

    def record(self) -> dict[str, Any]:
        """Measure, and give what happened since the last record."""


class Fitting(Iterator[dict[str, Any]]):
    """Trains as far as the next record whenever it is asked for one.

    Called and thrown away, ``fit`` would silently train nothing. So that is warned of, as Python does of a coroutine
    that nobody awaits; and a notebook, which keeps the value of a cell, shows the same sentence.

    Args:
        trainer: What trains.
        steps: Generator steps after which it is over.
        tick: Generator steps from record to record.

    Raises:
        UsageError: That many steps are done already.
    """

    def __init__(self, trainer: Trains, steps: int, tick: int) -> None:
        self.trainer, self.steps, self.tick, self.begun = trainer, steps, tick, trainer.step >= steps
        if self.begun:
            raise UsageError(
                f"steps is {steps}, and the trainer is at step {trainer.step} already; steps count from the first one: "
                f"give more, as {trainer.step + steps}. Its record() measures where it is."
            )

    def __next__(self) -> dict[str, Any]:
        self.begun = True
        while self.trainer.step < self.steps:
            self.trainer.advance()
            if self.trainer.step % self.tick == 0 or self.trainer.step == self.steps:
                return self.trainer.record()
        raise StopIteration

    def __repr__(self) -> str:
        return f"<Trainer.fit at step {self.trainer.step} of {self.steps}: {REMEDY}>"

    def __del__(self) -> None:
        if not self.begun:
            warnings.warn(f"Trainer.fit was called, and nothing was trained: {REMEDY}", RuntimeWarning, stacklevel=2)
