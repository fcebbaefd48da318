"""How long and how often: budgets and intervals, read from what a person writes."""

import copy
import math
import re
import sys
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from torch.optim import Optimizer

from wgan.errors import UsageError
from wgan.limits import check_numbers

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERIOD = 500
"""Generator steps after which the critic is warmed up again."""


def read_seconds(text: str, flag: str = "--time") -> float:
    """Read a duration such as ``90s``, ``10m`` or ``1h30m``.

    Raises:
        UsageError: It is not a positive sum of numbers with units.
    """
    right = re.fullmatch(r"(\s*\d+(\.\d+)?\s*[smhd])+\s*", text)
    total = sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)\s*(\w)", text)) if right else 0
    if not total:
        raise UsageError(f"{flag}: {text!r} is not a time; write 90s, 10m, 2h, 1d or 1h30m.")
    return total


@dataclass(frozen=True)
class Interval:
    """Something that happens every so many generator steps, or every so many seconds.

    Attributes:
        steps: Generator steps from one to the next, or None.
        seconds: Seconds from one to the next, or None.
    """

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def read(cls, text: str, steps_per_epoch: float, flag: str) -> "Interval":
        """Read ``500`` (steps), ``2epochs`` or ``60s``.

        Raises:
            UsageError: It is none of these.
        """
        if match := re.fullmatch(r"([1-9]\d*)", text.strip()):
            return cls(steps=int(match[1]))
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*epochs?", text.strip())
        if match and float(match[1]) > 0:
            return cls(steps=max(1, math.ceil(float(match[1]) * steps_per_epoch)))
        try:
            return cls(seconds=read_seconds(text, flag))
        except UsageError:
            allowed = "500 (steps), 1epoch or, for --save-every, 60s"
            raise UsageError(f"{flag}: {text!r} is not an interval; write {allowed}.") from None

    def due(self, step: int) -> bool:
        """Whether a fixed step is one of the interval's: its multiples, and 1, 4, 16, ... before the first of them."""
        if self.steps is None:
            return False
        power_of_4 = step.bit_count() == 1 and step.bit_length() % 2 == 1
        return step % self.steps == 0 or (step < self.steps and power_of_4)


@dataclass(frozen=True)
class Budget:
    """When training ends: at the first limit that is reached.

    Attributes:
        steps: Generator steps, from steps, kimg or epochs; None for no such limit.
        seconds: Seconds of training; None for no such limit.
    """

    steps: int | None = None
    seconds: float | None = None

    def reached(self, step: int, elapsed: float) -> bool:
        """Whether training ends after ``step`` generator steps and ``elapsed`` seconds."""
        return self.progress(step, elapsed) >= 1

    def progress(self, step: int, elapsed: float) -> float:
        """The share of the budget that is used up, from 0 to 1 (and above, when it is overdrawn)."""
        of_steps = step / self.steps if self.steps else 0.0
        of_time = elapsed / self.seconds if self.seconds else 0.0
        return max(of_steps, of_time)


@dataclass(frozen=True)
class Decay:
    r"""A learning-rate factor that falls linearly from 1 at ``start`` to 0 at ``end``, both in generator steps.

    .. math:: r(t) = \min(1, \max(0, 1 - (t - start) / (end - start)))
    """

    start: int
    end: int

    def factor(self, step: int) -> float:
        """The factor of the learning rates for the generator step that follows ``step`` finished ones."""
        return min(1.0, max(0.0, 1 - (step - self.start) / max(1, self.end - self.start)))


class Rates:
    """An optimizer's initial learning rates, ``first``, one for each group of weights.

    Args:
        optimizer: Fresh, before any rate was changed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.first = [copy.deepcopy(group["lr"]) for group in optimizer.param_groups]  # a tensor may change in place

    def scale(self, factor: float) -> None:
        """Set each to so many times what it was."""
        for group, rate in zip(self.optimizer.param_groups, self.first, strict=True):
            group["lr"] = rate * factor


def set_rates(rates: Iterable[Rates], decay: Decay | None, step: int) -> None:
    """Set the learning rates for the generator step that follows ``step`` finished ones; without a decay they stay."""
    if decay is not None:
        for each in rates:
            each.scale(decay.factor(step))


@dataclass(frozen=True)
class CriticSteps:
    """How many critic steps go before a generator step: more of them at first, and again at every 500th.

    References:
        Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875, whose code warms up so.

    Raises:
        UsageError: A number is not whole, or too small.
    """

    usual: int
    warmup_steps: int = 0
    warmup: int = 100

    def __post_init__(self) -> None:
        check_numbers(critic_steps=self.usual, warmup_steps=self.warmup_steps)
        if self.warmup_steps:
            check_numbers(warmup_critic_steps=self.warmup)

    def before(self, step: int) -> int:
        """Critic steps before the generator step that follows ``step`` finished ones."""
        warm = step < self.warmup_steps or (self.warmup_steps and step % _PERIOD == 0)
        return self.warmup if warm else self.usual

    def shown(self, steps: int) -> int:
        """Real batches that the critic is shown in the first ``steps`` generator steps."""
        first = self.warmup_steps
        if not first:
            return steps * self.usual
        warm = steps if steps <= first else first + len(range(-(-first // _PERIOD) * _PERIOD, steps, _PERIOD))
        return warm * self.warmup + (steps - warm) * self.usual

    def generator_steps(self, batches: float) -> int:
        """How many generator steps it takes until this many real batches have been shown to the critic."""
        most = min(math.ceil(batches), sys.maxsize)  # as many as a range may have, which is more than anybody takes
        return bisect_left(range(most), batches, key=self.shown)
