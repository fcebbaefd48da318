"""Critics that need no training or little: as steep as certified, and the distances that they are."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wgan.certificate import certify, observed
from wgan.errors import UsageError
from wgan.networks.one_lipschitz import Lattice, OffGrid, Outside, ReconstructionError


def test_a_lattice_is_as_steep_as_certified() -> None:
    torch.manual_seed(0)
    lattice = Lattice(3, minima=6, maxima=4)
    x, y = torch.randn(500, 3) * 3, torch.randn(500, 3) * 3
    constant = certify(lattice, (3,))
    slopes = ((lattice(x) - lattice(y)).abs() / (x - y).norm(dim=1)).detach()
    assert 0.5 < observed(lattice, x) <= constant and float(slopes.max()) <= constant
    assert constant == pytest.approx(1, abs=1e-5)
    planes = (x @ torch.nn.functional.normalize(lattice.weight, dim=1).T + lattice.bias).view(500, 6, 4)
    sharp = planes.max(2).values.min(1).values
    assert float((lattice(x) - sharp).abs().max().detach()) < 0.5
    with torch.no_grad():
        lattice.log_temperatures.fill_(-9)
    assert torch.allclose(lattice(x), sharp, atol=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_way_out_of_a_box_is_as_steep_as_certified(sign: float) -> None:
    torch.manual_seed(0)
    outside = Outside(torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 2.0]), sign)
    x, y = torch.randn(500, 3) * 2, torch.randn(500, 3) * 2
    constant = certify(outside, (3,))
    slopes = (outside(x) - outside(y)).abs() / (x - y).norm(dim=1)
    assert 0.99 < observed(outside, x) <= constant == pytest.approx(1, abs=1e-5)
    assert 0.5 < float(slopes.max()) <= constant
    assert outside(torch.tensor([[0.5, 0.0, 1.0], [4.0, 4.0, 1.0]])).tolist() == pytest.approx([0, 5 * sign])
    assert observed(outside, torch.zeros(1, 3)) <= 1e-6, "inside it is flat"


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("span", [0, 1, 3])
def test_the_way_from_a_subspace_is_as_steep_as_certified(span: int, sign: float) -> None:
    torch.manual_seed(0)
    directions = torch.linalg.qr(torch.randn(4, 4))[0][:span]
    off = ReconstructionError(torch.tensor([1.0, 0.0, 0.0, 0.0]), directions, sign)
    x, y = torch.randn(500, 4), torch.randn(500, 4)
    constant = certify(off, (4,))
    slopes = (off(x) - off(y)).abs() / (x - y).norm(dim=1)
    assert 0.99 < observed(off, x) <= constant == pytest.approx(1, abs=1e-5) and float(slopes.max()) <= constant
    others = np.eye(4) - np.linalg.pinv(directions.numpy()) @ directions.numpy() if span else np.eye(4)
    ways = np.linalg.norm((x.numpy() - [1, 0, 0, 0]) @ others, axis=1)
    assert np.allclose(off(x).numpy(), sign * ways, atol=1e-5)


def test_directions_that_are_not_orthonormal_are_certified_as_what_they_are() -> None:
    off = ReconstructionError(torch.zeros(2), torch.tensor([[2.0, 0.0]]), 1.0)
    assert certify(off, (2,)) == pytest.approx(3.0, rel=1e-4), "|1 - 2^2|"
    assert observed(off, torch.tensor([[1.0, 0.0]])) == pytest.approx(3.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_way_from_a_grid_is_as_steep_as_certified(sign: float) -> None:
    torch.manual_seed(0)
    samples = torch.tensor([[0.0, 1.0, 7.0], [1.0, 1.0, 7.0], [0.0, -2.0, 7.0], [3.0, 1.0, 7.0]]).repeat(3, 1)
    grid = OffGrid.of(samples, sign, most=3)
    assert grid is not None and OffGrid.of(samples, sign, most=2) is None
    x, y = torch.randn(500, 3) * 3, torch.randn(500, 3) * 3
    constant = certify(grid, (3,))
    slopes = (grid(x) - grid(y)).abs() / (x - y).norm(dim=1)
    assert 0.99 < observed(grid, x) <= constant == pytest.approx(1, abs=1e-5) and float(slopes.max()) <= constant
    levels = [[0.0, 1.0, 3.0], [-2.0, 1.0], [7.0]]
    ways = [[min(abs(v - level) for level in of) for v, of in zip(row, levels, strict=True)] for row in x.tolist()]
    assert np.allclose(grid(x).numpy(), sign * np.linalg.norm(ways, axis=1), atol=1e-5)
    assert grid(samples).tolist() == [0.0] * 12
    assert OffGrid.of(samples[:11], sign, most=3) is None, "levels that hardly repeat are no grid"


@pytest.mark.parametrize("distance", [Outside, OffGrid, ReconstructionError])
def test_distances_to_sets_have_slope_1(distance: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="1 or -1"):
        distance(*(torch.ones(2, 2) for _ in range(1 if distance is OffGrid else 2)), 5.0)
