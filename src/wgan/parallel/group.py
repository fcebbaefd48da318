"""The processes of a run, as one of them sees them, and what all of them say to each other."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from wgan.errors import LostError, UsageError
from wgan.words import first_line

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@final
class Group:
    """The processes of a run, as one of them sees them; by default it is alone, and everything costs nothing.

    Args:
        rank: This process's number.
        size: How many there are.
        local_rank: This process's number on this machine.
        local_size: How many there are on this machine.

    Attributes:
        patient: A gloo group with a timeout of a day, to wait in while the first process reads the data; None if this
            process is alone, or in a dry run.
    """

    patient: "ProcessGroup | None" = None

    def __init__(self, rank: int = 0, size: int = 1, local_rank: int = 0, local_size: int = 1) -> None:
        self.rank, self.size, self.local_rank, self.local_size = rank, size, local_rank, local_size

    def __repr__(self) -> str:
        return f"Group(rank={self.rank}, size={self.size})"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def shard(self, batch: Tensor) -> Tensor:
        """This process's part (N / size, ...) of what was drawn for the whole batch (N, ...)."""
        part = len(batch) // self.size
        return batch if self.size == 1 else batch[self.rank * part : (self.rank + 1) * part]

    def stream(self, name: str) -> str:
        """The name of a random stream that differs from process to process."""
        return name if self.first else f"{name} of process {self.rank}"

    def all_mean(self, flat: Tensor) -> None:
        """Replace a tensor by its mean over all processes, for ``size`` > 1.

        Raises:
            LostError: A process is gone.
        """
        with talking():
            torch.distributed.all_reduce(flat)
        flat.div_(self.size)

    def gather(self, sizes: Sequence[int], compute: Callable[[int], Tensor]) -> Tensor:
        """Vectors that are computed one by one, each by one of the processes, and end up in all of them.

        Args:
            sizes: How many numbers each of them has.
            compute: The vector (size,) of that number; the same one in whichever process, and after whichever others.

        Returns:
            All of them in their order, (sum of sizes,), float64, on the processor.

        Raises:
            LostError: A process is gone.
        """
        flat = torch.zeros(sum(sizes), dtype=torch.float64, device="cpu")
        for number, place in enumerate(flat.split(list(sizes))):
            if number % self.size == self.rank:
                place.copy_(compute(number).flatten())
        if self.size > 1:
            with talking():
                torch.distributed.all_reduce(flat)  # a sum with zeros, which is exact
        return flat

    def all_max(self, *numbers: int) -> list[int]:
        """The largest that any process gives, for each of these numbers.

        Raises:
            LostError: A process is gone.
        """
        if self.size == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        with talking():
            torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return [int(number) for number in told]

    def check_alike(self, **numbers: int) -> None:
        """Refuse, in all processes, what is not the same in all of them: their networks would drift apart in silence.

        Raises:
            UsageError: One of these numbers differs; the message has its name.
            LostError: A process is gone.
        """
        if self.patient is None:  # alone, or only planned
            return
        ends = zip(numbers, self.all_max(*numbers.values()), self.all_max(*(-n for n in numbers.values())), strict=True)
        if different := [name for name, most, least in ends if most != -least]:
            raise UsageError(
                f"the processes of this run were given different {' and '.join(different)}; give the same to all of "
                "them, in the same order."
            )

    def first_says(self, fact: bool) -> bool:
        """What the first process knows; all others follow it."""
        return bool(self.all_max(int(self.first and fact))[0])

    @torch.no_grad()
    def broadcast(self, *networks: nn.Module) -> None:
        """Give all processes the first one's weights and buffers, in place; from then on they stay equal.

        Raises:
            LostError: A process is gone.
        """
        if self.patient is None:  # alone, or only planned
            return
        for network in networks:
            for tensor in (*network.parameters(), *network.buffers()):
                sent = tensor.new_empty(tensor.numel()).copy_(tensor.flatten())  # dense, in one order for all
                with talking():
                    torch.distributed.broadcast(sent.view(torch.uint8), 0)  # as bytes, for gloo knows no booleans
                tensor.copy_(sent.view_as(tensor))

    @contextmanager
    def local_first(self) -> Iterator[None]:
        """Let the first process of each machine go through this before its others do."""
        if self.local_rank:
            self._wait()
        yield
        if not self.local_rank:
            self._wait()

    def _wait(self) -> None:
        if self.patient is not None:
            with talking():
                torch.distributed.barrier(self.patient)


ALONE = Group()


@contextmanager
def talking() -> Iterator[None]:
    """Turn what happens when another process is gone into an error in words."""
    try:
        yield
    except RuntimeError as error:
        # Of gloo's text the first sentence, without the place in its source that stands before it.
        said = re.sub(r"^\[[^]]*\]+ *", "", first_line(error)).split(". ")[0].rstrip(".")
        raise LostError(f"a process of this run was lost, and the others stop ({said}).") from error
