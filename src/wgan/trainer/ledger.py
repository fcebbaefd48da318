"""Running means of what a training loop computes, and a watch for values that are not finite."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wgan.errors import WganError

_MANY = 1024


class DivergedError(WganError):
    """A quantity became NaN or infinite, first seen at a generator step."""

    def __init__(self, quantity: str, step: int) -> None:
        super().__init__(f"{quantity} became NaN or infinite at generator step {step}.")


class Ledger:
    """Sums, counts and the first bad step of a fixed set of scalars.

    What is added stays on its device until somebody asks, or until there is much of it.

    Args:
        names: The scalars, in the order in which a step computes them.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self._sums, self._counts = [0.0] * len(names), [0] * len(names)
        self._waiting: list[tuple[int, Tensor, int]] = []
        self._bad: tuple[str, int] | None = None

    def add(self, name: str, value: Tensor, step: int) -> None:
        """Add a scalar that was computed in generator step ``step``."""
        if self._waiting:
            value = value.to(self._waiting[0][1].device)
        self._waiting.append((self.names.index(name), value.detach().clone(), step))
        if len(self._waiting) == _MANY:
            self._settle()

    def means(self) -> dict[str, float | None]:
        """The mean of each scalar since the last reset; None where nothing was added."""
        self._settle()
        each = zip(self.names, self._sums, self._counts, strict=True)
        return {name: total / count if count else None for name, total, count in each}

    def check(self) -> None:
        """Raise for the scalar that was the first to be NaN or infinite.

        Raises:
            DivergedError: One was.
        """
        self._settle()
        if self._bad:
            raise DivergedError(*self._bad)

    def reset(self) -> None:
        """Start the means again."""
        self._settle()
        self._sums, self._counts = [0.0] * len(self.names), [0] * len(self.names)

    def state(self) -> dict[str, Tensor]:
        """What an exact continuation needs."""
        self._settle()
        sums = torch.tensor(self._sums, dtype=torch.float64, device="cpu")
        return {"sums": sums, "counts": torch.tensor(self._counts, device="cpu")}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state, in which all was finite."""
        self._waiting.clear()
        self._bad = None
        self._sums, self._counts = state["sums"].tolist(), state["counts"].tolist()

    def _settle(self) -> None:
        """Count what is waiting, one after the other, so that it does not matter when this is done."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        values = torch.stack([value for _, value, _ in waiting]).tolist()
        for (row, _, step), value in zip(waiting, values, strict=True):
            self._sums[row] += value
            self._counts[row] += 1
            if not (self._bad or math.isfinite(value)):
                self._bad = self.names[row], step


def check_values(values: Mapping[str, float | None], step: int) -> None:
    """Raise for the first value that is NaN or infinite.

    Raises:
        DivergedError: One is.
    """
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise DivergedError(name, step)


def check_weights(step: int, **networks: nn.Module) -> None:
    """Raise for the networks' first weight that is NaN or infinite.

    Raises:
        DivergedError: One is.
    """
    for name, network in networks.items():
        for weight_name, weight in network.named_parameters():
            if not bool(weight.isfinite().all()):
                raise DivergedError(f"the {name}'s weight {weight_name}", step)
