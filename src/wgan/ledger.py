"""Running means of what a training loop computes, kept on the device, and a watch for values that are not finite."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from wgan.errors import WganError

_NEVER = torch.iinfo(torch.int64).max


class DivergedError(WganError):
    """A quantity became NaN or infinite.

    Attributes:
        quantity: Its name.
        step: The generator step at which it was first seen.
    """

    def __init__(self, quantity: str, step: int) -> None:
        super().__init__(f"{quantity} became NaN or infinite at generator step {step}.")
        self.quantity, self.step = quantity, step


class Ledger:
    """Sums, counts and the first bad step of a fixed set of scalars; adding never waits for the device.

    Args:
        names: The scalars, in the order in which a step computes them.
        device: Where they are computed.
    """

    def __init__(self, names: tuple[str, ...], device: torch.device) -> None:
        self.names = names
        self.sums = torch.zeros(len(names), dtype=torch.float64, device=device)
        self.counts = torch.zeros(len(names), dtype=torch.int64)
        self._added = 0
        self.first_bad = torch.full((len(names),), _NEVER, dtype=torch.int64, device=device)

    def add(self, name: str, value: Tensor, step: int) -> None:
        """Add a scalar that was computed in generator step ``step``."""
        row = self.names.index(name)
        value = value.detach()
        self.sums[row] += value
        self.counts[row] += 1
        self._added += 1
        when = self._added << 32 | step  # the order and the step in one number, the first being the smallest
        self.first_bad[row].clamp_(max=torch.where(value.isfinite(), _NEVER, when))

    def means(self) -> dict[str, float | None]:
        """The mean of each scalar since the last reset; None where nothing was added."""
        means = (self.sums.cpu() / self.counts).tolist()
        return {n: mean if count else None for n, mean, count in zip(self.names, means, self.counts, strict=True)}

    def check(self) -> None:
        """Raise for the scalar that was the first to be NaN or infinite.

        Raises:
            DivergedError: One was.
        """
        first = self.first_bad.cpu()
        row = int(first.argmin())
        if first[row] != _NEVER:
            raise DivergedError(self.names[row], int(first[row]) & 0xFFFFFFFF)

    def reset(self) -> None:
        """Start the means anew."""
        self.sums.zero_()
        self.counts.zero_()

    def state(self) -> dict[str, Tensor]:
        """What an exact continuation needs."""
        return {"sums": self.sums, "counts": self.counts}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over a state."""
        self.sums.copy_(state["sums"])
        self.counts.copy_(state["counts"])


def check_values(values: Mapping[str, float | None], step: int) -> None:
    """Raise for the first value that is NaN or infinite.

    Raises:
        DivergedError: One is.
    """
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            raise DivergedError(name, step)


def check_weights(network: nn.Module, name: str, step: int) -> None:
    """Raise for a network's first weight that is NaN or infinite.

    Raises:
        DivergedError: One is.
    """
    for weight_name, weight in network.named_parameters():
        if not bool(weight.isfinite().all()):
            raise DivergedError(f"the {name}'s weight {weight_name}", step)
