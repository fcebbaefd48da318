r"""Many processes that train one run; only this folder knows torch.distributed.

Every process holds whole networks and computes on its own part of each batch. One flat all-reduce a step carries the
gradients, the losses and, after a generator step, batch norm's running statistics:

.. math:: \nabla L = \frac{1}{P} \sum_{p=1}^{P} \nabla L_p

is the gradient on the whole batch wherever a loss is a mean over samples, so that all processes take the same step and
stay equal without ever sending a weight. The modules are plain: DistributedDataParallel gives wrong gradients
around a critic with a gradient penalty.
"""

import datetime
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from wgan import worker
from wgan.errors import LostError, UsageError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup
    from torch.distributed.distributed_c10d import Store

SCALARS = 4
"""Room for a step's losses in its all-reduce."""
_PREPARING = datetime.timedelta(days=1)  # in which the first process of a machine reads its data


@final
class Group:
    """The processes of a run, as one of them sees them; by default it is alone, and everything costs nothing.

    Args:
        rank: This process's number.
        size: How many there are.
        local_rank: This process's number on this machine.
        local_size: How many there are on this machine.
        patient: Where the others wait while data is read.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        local_rank: int = 0,
        local_size: int = 1,
        patient: "ProcessGroup | None" = None,
    ) -> None:
        self.rank, self.size, self.local_rank, self.local_size = rank, size, local_rank, local_size
        self._patient = patient

    def __repr__(self) -> str:
        return f"Group(rank={self.rank}, size={self.size})"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part (N / size, ...) of what was drawn for the whole batch (N, ...)."""
        part = len(batch) // self.size
        return batch if self.size == 1 else batch[self.rank * part : (self.rank + 1) * part]

    def stream(self, name: str) -> str:
        """The name of a random stream that differs from process to process."""
        return name if self.first else f"{name} of process {self.rank}"

    def average(self, flat: Tensor) -> None:
        """Replace a tensor by its mean over all processes.

        Raises:
            LostError: A process is gone.
        """
        if self.size > 1:
            with _talking():
                torch.distributed.all_reduce(flat)
            flat.div_(self.size)

    def gather(self, sizes: Sequence[int], compute: Callable[[int], Tensor]) -> Tensor:
        """Vectors that are computed one by one, each by one of the processes, and end up in all of them.

        Args:
            sizes: How many numbers each of them has.
            compute: The vector (size,) of a number; it must be the same in whichever process.

        Returns:
            All of them in their order, (sum of sizes,), float64, on the processor.

        Raises:
            LostError: A process is gone.
        """
        flat = torch.zeros(sum(sizes), dtype=torch.float64)
        for number, place in enumerate(flat.split(list(sizes))):
            if number % self.size == self.rank:
                place.copy_(compute(number).flatten())
        if self.size > 1:
            with _talking():
                torch.distributed.all_reduce(flat)  # a sum with zeros, which is exact
        return flat

    def largest(self, *numbers: int) -> list[int]:
        """The largest that any process gives, for each of these numbers.

        Raises:
            LostError: A process is gone.
        """
        if self.size == 1:
            return list(numbers)
        told = torch.tensor(numbers, dtype=torch.int64)
        with _talking():
            torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return [int(number) for number in told]

    def first_says(self, fact: bool) -> bool:
        """What the first process knows; all others follow it."""
        return bool(self.largest(int(self.first and fact))[0])

    @torch.no_grad()
    def take_first(self, *networks: nn.Module) -> None:
        """Give all processes the first one's weights and buffers, in place; from then on they stay equal.

        Raises:
            LostError: A process is gone.
        """
        if self._patient is None:  # alone, or only planned
            return
        for network in networks:
            for tensor in (*network.parameters(), *network.buffers()):
                sent = tensor.new_empty(tensor.numel()).copy_(tensor.flatten())  # dense, in one order for all
                with _talking():
                    torch.distributed.broadcast(sent.view(torch.uint8), 0)  # as bytes, for gloo knows no booleans
                tensor.copy_(sent.view_as(tensor))

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process of each machine go through this before its others do."""
        if self.local_rank:
            self._wait()
        yield
        if not self.local_rank:
            self._wait()

    def _wait(self) -> None:
        if self._patient is not None:
            with _talking():
                torch.distributed.barrier(self._patient)


ALONE = Group()


@final
class Exchange:
    """What a step brings to its mean over all processes, in one flat all-reduce.

    Args:
        group: The processes.
        parameters: Whose gradients to average, in place.
        networks: In which to average the running statistics of batch norm.
    """

    def __init__(self, group: Group, parameters: Sequence[nn.Parameter], networks: Sequence[nn.Module] = ()) -> None:
        self.group, self.parameters = group, parameters
        if group.size == 1:
            return
        self.statistics = [statistic for network in networks for statistic in running_statistics(network)]
        like = [*parameters, *self.statistics]
        dtype = max((tensor.dtype for tensor in like), key=lambda dtype: torch.finfo(dtype).bits)
        self.flat = torch.empty(sum(tensor.numel() for tensor in like) + SCALARS, dtype=dtype, device=like[0].device)
        parts = self.flat.split([*(tensor.numel() for tensor in like), SCALARS])
        # In the weights' own memory format, so that copying is a plain copy and the optimizer finds what it expects.
        shaped = [
            part.as_strided(tensor.shape, torch.empty_like(tensor).stride())
            for part, tensor in zip(parts, like, strict=False)
        ]
        self.gradients, self.means = shaped[: len(parameters)], shaped[len(parameters) :]
        self.scalars = parts[-1]

    @torch.no_grad()
    def __call__(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Average the gradients and statistics where they are, and these scalars.

        A parameter without a gradient counts as one whose gradient is zero.

        Raises:
            LostError: A process is gone.
        """
        if self.group.size == 1:
            return values
        given = [weight.grad for weight in self.parameters]
        torch._foreach_copy_(
            [*self.gradients, *self.means],
            [
                *(torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, given, strict=True)),
                *self.statistics,
            ],
        )
        for place, value in zip(self.scalars.zero_(), values, strict=False):
            place.copy_(value)
        self.group.average(self.flat)
        for weight, gradient in zip(self.parameters, self.gradients, strict=True):
            weight.grad = gradient.to(weight.dtype)
        if self.statistics:
            torch._foreach_copy_(self.statistics, self.means)
        return tuple(self.scalars[number].to(value) for number, value in enumerate(values))


def running_statistics(network: nn.Module) -> Iterator[Tensor]:
    """The means and variances that norm layers keep for evaluation."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
            assert module.running_var is not None
            yield from (module.running_mean, module.running_var)


@contextmanager
def _talking() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise LostError(f"a process of this run was lost, and the others stop ({reason}).") from error


@contextmanager
def joined(device: str = "auto") -> Iterator[Group]:
    """Join the other processes that a launcher started; alone if there is none.

    Args:
        device: As in the configuration: with GPUs, each process takes the one with its local rank.

    Raises:
        UsageError: The processes cannot share this device.
        LostError: A process is gone.
    """
    here = worker.place()
    if here is None or here.size == 1:
        yield ALONE
        return
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        _take_gpu(device, here)
    from torch.distributed.rendezvous import rendezvous

    with _talking():
        store, rank, size = next(rendezvous("env://"))
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        torch.distributed.init_process_group(backend, store=_fresh(store, rank, size), rank=rank, world_size=size)
    try:
        patient = torch.distributed.new_group(timeout=_PREPARING, backend="gloo")
        yield Group(here.rank, here.size, here.local_rank, here.local_size, patient)
    finally:
        torch.distributed.destroy_process_group()


def _fresh(store: "Store", rank: int, size: int) -> "Store":
    """A corner of a store that holds nothing of earlier processes.

    The launcher keeps one store for all its starts, with the addresses of processes that are gone, and no number of
    the start is the same on all machines. So the first process makes up a name, and tells it to those who greet it with
    a word that is new too.

    Raises:
        LostError: Some process does not come in the time that the store gives.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    word = uuid.uuid4().hex
    if rank:
        store.set(f"greeting of {rank}", word)
        name = store.get(f"answer to {word}").decode()
        store.set(f"{rank} is in {name}", "")
        return PrefixStore(name, store)
    missing = list(range(1, size))
    patience: float = store.timeout.total_seconds()  # type: ignore[attr-defined]
    deadline = time.monotonic() + patience
    while missing:
        if time.monotonic() > deadline:
            raise LostError(f"processes {missing} of this run did not come within {patience:.0f} s.")
        for other in missing:
            if store.check([f"greeting of {other}"]):
                store.set(f"answer to {store.get(f'greeting of {other}').decode()}", word)
        missing = [other for other in missing if not store.check([f"{other} is in {word}"])]
        time.sleep(0.01)
    return PrefixStore(word, store)


def _take_gpu(device: str, here: worker.Place) -> None:
    if ":" in device:
        raise UsageError(f"--device: {device} is one GPU, but {here.size} processes train; use cuda or auto.")
    if here.local_size > (gpus := torch.cuda.device_count()):
        raise UsageError(f"{here.local_size} processes but {gpus} GPUs on this machine; use --processes {gpus}.")
    torch.cuda.set_device(here.local_rank)
