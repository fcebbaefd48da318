"""What processes compute apart and have together, without any that are started."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wgan.errors import UsageError
from wgan.parallel import GradientAllReduce, Group, _take_gpu
from wgan.worker import Place


class Present:
    """torch.distributed with the sum of both processes, one of which is played by a tensor."""

    def __init__(self, others: Tensor | None = None) -> None:
        self.others = others

    def all_reduce(self, flat: Tensor) -> None:
        flat.add_(flat if self.others is None else self.others)


@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("sizes", [(4, 4, 3, 4, 1), (2, 2), (5,)])
def test_each_process_computes_its_pieces_only_and_all_have_all(
    sizes: tuple[int, ...], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [torch.rand(size, dtype=torch.float64) for size in sizes]
    zero = [torch.zeros(size, dtype=torch.float64) for size in sizes]
    own = range(rank, len(sizes), 3)
    others = torch.cat([zero[k] if k in own else pieces[k] for k in range(len(sizes))])
    monkeypatch.setattr(torch, "distributed", Present(others))
    asked: list[int] = []
    whole = Group(rank, 3).gather(sizes, lambda k: (asked.append(k), pieces[k])[1])  # type: ignore[func-returns-value]
    assert asked == list(own)
    assert torch.equal(whole, torch.cat(pieces))


@pytest.mark.parametrize("rank", [0, 1])
def test_all_learn_the_largest_and_what_the_first_one_says(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[int]] = []

    def all_reduce(told: Tensor, op: Any) -> None:
        assert op == torch.distributed.ReduceOp.MAX
        sent.append(told.tolist())
        told.copy_(torch.maximum(told, torch.tensor([3, 0])[: len(told)]))

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    assert Group(rank, 2).all_max(1, 2) == [3, 2] and sent == [[1, 2]]
    Group(rank, 2).first_says(True)
    assert sent[1:] == [[int(rank == 0)]]


@pytest.mark.parametrize(("local_rank", "order"), [(0, ["read", "wait"]), (1, ["wait", "read"])])
def test_the_first_process_of_a_machine_reads_before_its_others(
    local_rank: int, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(Group, "_wait", lambda group: seen.append("wait"))
    with Group(3, 4, local_rank, 2).local_first():
        seen.append("read")
    assert seen == order


def test_gradients_of_two_widths_are_averaged_in_the_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "distributed", Present())
    weights = [nn.Parameter(torch.ones(1, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    reduce = GradientAllReduce(Group(0, 2), weights)
    gradients = [1 + 2**-20, 1 + 2**-40]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = torch.tensor([gradient], dtype=weight.dtype)
    reduce()
    assert [float(weight.grad) for weight in weights if weight.grad is not None] == gradients


def test_gradients_statistics_and_scalars_are_the_means_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """One weight lies in memory with its channels last, and one has no gradient."""
    monkeypatch.setattr(torch, "distributed", Present(torch.arange(24 + 2 + 4 + 2.0)))
    conv = nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last))
    spare, norm = nn.Parameter(torch.zeros(2)), nn.BatchNorm1d(2)
    reduce = GradientAllReduce(Group(0, 2), [conv, spare], [norm])
    conv.grad = torch.ones_like(conv)
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(torch.tensor([4.0, 6.0]))
    norm.running_var.copy_(torch.tensor([8.0, 2.0]))
    told = reduce(torch.tensor(5.0), torch.tensor(7.0, dtype=torch.float64))
    assert conv.grad.is_contiguous(memory_format=torch.channels_last)
    in_memory = conv.grad.permute(0, 2, 3, 1).flatten()
    assert in_memory.tolist() == [(1 + k) / 2 for k in range(24)]
    assert spare.grad is not None and spare.grad.tolist() == [24 / 2, 25 / 2]
    assert norm.running_mean.tolist() == [(4 + 26) / 2, (6 + 27) / 2]
    assert norm.running_var.tolist() == [(8 + 28) / 2, (2 + 29) / 2]
    assert [float(value) for value in told] == [(5 + 30) / 2, (7 + 31) / 2]
    assert [value.dtype for value in told] == [torch.float32, torch.float64]


@pytest.mark.parametrize(
    ("device", "gpus", "told"),
    [
        ("cuda:1", 8, "--device: cuda:1 is one GPU, but 2 processes train; use cuda or auto."),
        ("cuda", 1, "2 processes but 1 GPU on this machine; use --processes 1."),
        ("cuda", 0, "2 processes but 0 GPUs on this machine; use --device cpu."),
    ],
)
def test_more_processes_than_gpus_are_refused(
    device: str, gpus: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(UsageError, match=re.escape(told)):
        _take_gpu(device, Place(size=2, local_size=2))
