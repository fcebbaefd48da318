"""A critic that goes on alone for some steps, and then goes back to where it was."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Pair = tuple[Tensor, Tensor]
"""Real and generated samples."""
PARTS = 4
"""Of how many parts a batch is: so many times the steps, which lead further and take little longer."""


@contextmanager
def ahead(
    step: Callable[[Pair], None], pairs: Iterable[Pair], steps: int, optimizer: Optimizer, *networks: nn.Module
) -> Iterator[None]:
    """Take steps of falling size, and undo them exactly afterwards.

    The learning rate falls linearly to 0, so that what is measured inside is where the steps lead to and not the place
    that the last of them happened to reach.

    Args:
        step: Takes one step.
        pairs: What to take them on.
        steps: How many to take.
        optimizer: That of the step.
        *networks: All that a step changes, if only in its buffers.
    """
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    saved, state = [tensor.detach().clone() for tensor in tensors], copy.deepcopy(optimizer.state_dict())
    (group,) = optimizer.param_groups
    rate = group["lr"]
    try:
        for done, pair in zip(range(steps), pairs, strict=False):
            group["lr"] = rate * (1 - done / steps)
            step(pair)
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, saved, strict=True):
                tensor.copy_(old)
        optimizer.load_state_dict(state)


def parts(pair: Callable[[], Pair], number: int) -> Iterator[Pair]:
    """New batches without end, each in so many parts, one after the other.

    The parts take turns at the samples, so that those of the processes, which have their samples side by side, make up
    the parts of the whole batch, as long as the number divides what a process has.
    """
    while True:
        real, fake = pair()
        for part in range(number):
            yield real[part::number], fake[part::number]
