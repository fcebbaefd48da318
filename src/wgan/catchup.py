"""A critic that goes on alone for some small steps, and then goes back to where it was."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Pair = tuple[Tensor, Tensor]
"""Real and generated samples."""
PARTS = 4
"""Of how many parts a batch is: so many times the steps, which lead further and take little longer."""


def small_steps(pair: Callable[[], Pair], steps: int, most: int) -> Iterator[tuple[float, Pair]]:
    """What to go on with: sizes that fall linearly to 0, and quarters of new batches.

    The falling size makes what is measured afterwards where the steps lead to, and not the place that the last of them
    happened to reach. The parts of a batch take turns at its samples: processes have theirs side by side, and so their
    parts make up those of the whole batch, as long as four divides what each of them has.

    Args:
        pair: Makes a batch.
        steps: How many there are; fewer, on as many samples in all, where a batch has fewer parts.
        most: Into how many parts a batch may be cut.
    """
    parts = min(PARTS, most)
    total = math.ceil(steps * parts / PARTS)
    for done in range(total):
        if not (part := done % parts):
            real, fake = pair()
        yield 1 - done / total, (real[part::parts], fake[part::parts])


@contextmanager
def ahead(
    step: Callable[[Pair], None], small: Iterable[tuple[float, Pair]], optimizer: Optimizer, *networks: nn.Module
) -> Iterator[None]:
    """Take steps, and undo them exactly afterwards.

    Args:
        step: Takes one step.
        small: The share of the learning rate to take it with, and what to take it on.
        optimizer: That of the step.
        *networks: All that a step changes, if only in its buffers.
    """
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    saved, state = [tensor.detach().clone() for tensor in tensors], copy.deepcopy(optimizer.state_dict())
    (group,) = optimizer.param_groups
    rate = group["lr"]
    try:
        for share, pair in small:
            group["lr"] = rate * share
            step(pair)
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, saved, strict=True):
                tensor.copy_(old)
        optimizer.load_state_dict(state)
