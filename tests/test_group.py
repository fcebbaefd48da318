"""What processes compute apart and have together, without any that are started."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wgan.parallel import Exchange, Group


class Present:
    """torch.distributed with the sum of both processes, one of which is played by a tensor."""

    def __init__(self, others: Tensor | None = None) -> None:
        self.others, self.started, self.waited = others, 0, 0

    def all_reduce(self, flat: Tensor, async_op: bool = False) -> "Present":
        self.started += 1
        flat.add_(flat if self.others is None else self.others)
        return self

    def wait(self) -> None:
        self.waited += 1


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


def test_what_is_done_meanwhile_is_done_once_between_sending_and_waiting_and_may_have_a_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    present, weight, told = Present(), nn.Parameter(torch.ones(2)), list[Any]()
    monkeypatch.setattr(torch, "distributed", present)
    exchange = Exchange(Group(0, 2), [weight])
    weight.grad = torch.tensor([1.0, 2.0])
    (value,) = exchange(
        torch.tensor(3.0),
        meanwhile=lambda: told.append((present.started, present.waited, (2 * weight).requires_grad)),
    )
    assert told == [(1, 0, True)] and present.waited == 1
    assert value == 3 and torch.equal(weight.grad, torch.tensor([1.0, 2.0]))  # the mean of both, who are equal
