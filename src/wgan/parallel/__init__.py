r"""Many processes that train one run; only this folder knows torch.distributed.

Every process holds whole networks and computes on its own part of each batch. One flat all-reduce a step carries the
gradients, the losses and, after a generator step, batch norm's running statistics:

.. math:: \nabla L = \frac{1}{P} \sum_{p=1}^{P} \nabla L_p

is the gradient on the whole batch wherever a loss is a mean over samples, so that all processes take the same step and
stay equal without ever sending a weight. The modules are plain: DistributedDataParallel gives wrong gradients
around a critic with a gradient penalty.
"""

import datetime
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from wgan import worker
from wgan.errors import LostError, UsageError
from wgan.parallel.group import ALONE, Group, talking
from wgan.parallel.reduce import SCALARS, GradientAllReduce, running_statistics
from wgan.words import count

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

__all__ = ["ALONE", "SCALARS", "GradientAllReduce", "Group", "joined", "running_statistics"]

_GLANCE = 0.5  # seconds between two looks at whether the launcher is still there
_PREPARING = datetime.timedelta(days=1)  # in which the first process of a machine reads its data


@contextmanager
def joined(device: str = "auto") -> Iterator[Group]:
    """Join the other processes that a launcher started; alone if there is none.

    Args:
        device: As in the configuration: with GPUs, each process takes the one with its local rank.

    Raises:
        UsageError: The processes cannot share this device, or torch.distributed is in use already.
        LostError: A process is gone.
    """
    here = worker.place()
    if here.size == 1:
        yield ALONE
        return
    if torch.distributed.is_initialized():
        raise UsageError("torch.distributed is in use already; call wgan before init_process_group, which it calls.")
    cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if cuda:
        _take_gpu(device, here)
    from torch.distributed.rendezvous import rendezvous

    with _no_orphan(), talking():
        store, rank, size = next(rendezvous("env://"))
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        torch.distributed.init_process_group(backend, store=_fresh(store, rank, size), rank=rank, world_size=size)
    group = Group(here.rank, here.size, here.local_rank, here.local_size)
    try:
        group.patient = torch.distributed.new_group(timeout=_PREPARING, backend="gloo")
        yield group
    finally:
        group.patient = None  # in a group that somebody keeps, gloo's threads would wait when Python ends and abort it
        torch.distributed.destroy_process_group()


@contextmanager
def _no_orphan() -> Iterator[None]:
    """End this process if its launcher is killed while it waits for the others: they may never have been started.

    Such a wait hears no exception, and nothing is lost that early.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_GLANCE):
            if worker.is_orphan():
                os._exit(worker.STOPPED + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


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
        remedy = f"--processes {gpus}" if gpus else "--device cpu"
        raise UsageError(f"{here.local_size} processes but {count(gpus, 'GPU')} on this machine; use {remedy}.")
    torch.cuda.set_device(here.local_rank)
