"""The free critic's optimizer: what its steps do to singular values, and the same as PyTorch's in bfloat16."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wgan.measure.muon import Muon, orthogonalised

SHAPES = [(6, 6), (5, 9), (9, 5), (1, 7), (7, 1)]


def matrix(shape: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_singular_value_follows_the_polynomial(shape: tuple[int, int]) -> None:
    given = matrix(shape)
    u, s, v = np.linalg.svd(given.numpy(), full_matrices=False)
    s = s / np.linalg.norm(s)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(orthogonalised(given).numpy(), u * s @ v, atol=1e-12)


@pytest.mark.parametrize("least", [1 / 500, 0.02, 0.1])
def test_singular_values_come_near_one(least: float) -> None:
    u, _, v = torch.linalg.svd(matrix((64, 64)))
    given = u * torch.logspace(np.log10(least), 0, 64, dtype=torch.float64) @ v
    share = least / float(given.norm())
    values = torch.linalg.svdvals(orthogonalised(100 * given))
    assert float(values.min()) > min(0.5, 400 * share)
    assert float(values.max()) < 1.25


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_pytorch(shape: tuple[int, int]) -> None:
    ours, theirs = nn.Parameter(matrix(shape).float()), nn.Parameter(matrix(shape).float())
    pairs = [
        (ours, Muon([ours], lr=0.1, momentum=0.9)),
        (theirs, torch.optim.Muon([theirs], lr=0.1, momentum=0.9, weight_decay=0.0)),
    ]
    for step in range(4):
        for weight, optimizer in pairs:
            weight.grad = matrix(shape, step + 1).float()
            optimizer.step()
    moved = float((theirs.detach() - matrix(shape).float()).norm())
    assert float((ours - theirs).detach().norm()) < 0.02 * moved  # bfloat16 has 8 bits


def test_every_matrix_moves_at_the_rate_and_with_the_momentum_of_its_group() -> None:
    starts = [matrix(shape, k).float() for k, shape in enumerate(SHAPES[:4])]
    moved = []
    for kind, rest in ((Muon, {}), (torch.optim.Muon, {"weight_decay": 0.0})):
        weights = [nn.Parameter(start.clone()) for start in starts]
        one, other = {"params": weights[:3]}, {"params": weights[3:], "lr": 0.02, "momentum": 0.3}
        optimizer = kind([one, other], lr=0.1, momentum=0.9, **rest)
        for step in range(4):
            for group in optimizer.param_groups:
                group["lr"] *= 0.7
            for k in (0, 2, 3):  # the second one never has a gradient
                weights[k].grad = matrix(SHAPES[k], 10 * step + k + 5).float()
            optimizer.step()
        moved.append([weight.detach() - start for weight, start in zip(weights, starts, strict=True)])
    for ours, theirs in zip(*moved, strict=True):
        assert float((ours - theirs).norm()) <= 0.05 * float(theirs.norm())  # bfloat16 has 8 bits
    assert [bool(ours.any()) for ours in moved[0]] == [True, False, True, True]


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_size_of_a_gradient_does_not_matter(factor: float) -> None:
    given = matrix((5, 9)).float()
    torch.testing.assert_close(orthogonalised(factor * given), orthogonalised(given), rtol=1e-4, atol=1e-5)


def test_what_has_no_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    Muon([weight], lr=0.1, momentum=0.9).step()
    assert torch.equal(weight, torch.ones(2, 2))
