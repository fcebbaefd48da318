"""A critic that goes on alone for some steps, and then goes back to where it was."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from wgan.schedule import Rates


@contextmanager
def ahead(step: Callable[[], None], steps: int, rates: Rates, critic: nn.Module) -> Iterator[None]:
    """Take steps, and undo them exactly afterwards.

    The learning rates fall linearly to 0: what is measured inside is then where the steps lead to, and not the place
    that the last of them happened to reach.

    Args:
        step: Takes one.
        steps: How many.
        rates: Initial learning rates of the step's optimizer; used instead of the current ones, which may have decayed
            to 0 or been set by the caller.
        critic: Whose weights and buffers a step changes, or replaces. Plain attributes that its modules set in a pass
            are not restored.
    """
    holders: list[dict[str, Any]] = [held for part in critic.modules() for held in (part._parameters, part._buffers)]
    saved = [
        (held, name, tensor, tensor.detach().clone())
        for held in holders
        for name, tensor in held.items()
        if tensor is not None
    ]
    state = copy.deepcopy(rates.optimizer.state_dict())
    try:
        for done in range(steps):
            rates.scale(1 - done / steps)
            step()
        yield
    finally:
        with torch.no_grad():
            for held, name, tensor, old in saved:
                held[name] = tensor.copy_(old)
        rates.optimizer.load_state_dict(state)
