"""What is made of a free critic's scores, for a critic whose scores are known."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from toolbox import normal
from wgan.measure import _held_out
from wgan.measure.critics import Fitted
from wgan.measure.sides import Arrays, Part


def ramp(slope: float) -> nn.Module:
    """The first number, times the slope."""
    critic = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        critic[0].weight.copy_(torch.tensor([[slope, 0.0, 0.0]]))
    return critic


def first_numbers(sides: Arrays, name: str) -> float:
    """The difference of a part's means in the first number, in the samples' units."""
    part: Part = sides.part(name)
    x, y = (side[:, 0].double().numpy() * sides.scale for side in part)
    return float(x.mean() - y.mean())


@pytest.mark.parametrize(("slope", "seen"), [(1.0, 1.0), (3.0, 3.0), (0.5, 0.5)])
def test_a_critic_counts_over_its_slope_and_is_not_made_steeper(slope: float, seen: float) -> None:
    rng = np.random.default_rng(0)
    x, y = 5 * rng.normal(size=(900, 3)) + np.array([4, 0, 0]), 5 * rng.normal(size=(1200, 3))
    sides = Arrays(x, y, 0)
    of_train, of_test = (first_numbers(sides, name) * min(slope, 1.0) for name in ("train", "test"))
    found, train, gap = _held_out(sides, Fitted(ramp(slope), seen, 1, 0.0), 0.0, evenness=1.0)
    assert train == pytest.approx(of_train, rel=1e-4) and gap == pytest.approx(of_train - of_test, rel=1e-3)
    assert found.value == pytest.approx((of_train * of_test) ** 0.5, rel=1e-4)
    missing = max(0.0, 1 / seen - 1)  # of a critic flatter than 1
    assert found.margin == pytest.approx((0.1 + missing) * found.value, rel=1e-4)
    part = sides.part("test")
    error = min(slope, 1.0) * sides.scale * sum(float(side[:, 0].double().var()) / len(side) for side in part) ** 0.5
    # Carried through the root of the product; a little more than to first order.
    assert found.error == pytest.approx(error / 2 * (of_train / of_test) ** 0.5, rel=0.02)


def test_where_part_of_the_mass_stays_what_unseen_samples_say_counts_more() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(900, 3)) + np.array([0.3, 0, 0]), rng.normal(size=(900, 3))
    sides = Arrays(x, y, 0)
    of_train, of_test = (first_numbers(sides, name) for name in ("train", "test"))
    values = [_held_out(sides, Fitted(ramp(1.0), 1.0, 1, 0.0), 0.0, even)[0].value for even in (0.0, 0.5, 1.0)]
    root = (of_train * of_test) ** 0.5
    assert values[0] == pytest.approx(min(root, of_test), rel=1e-4)
    assert values[2] == pytest.approx(root, rel=1e-4) and min(values[::2]) <= values[1] <= max(values[::2])


def test_what_still_rose_is_added_to_what_it_may_be_off_by() -> None:
    rng = np.random.default_rng(2)
    sides = Arrays(rng.normal(size=(400, 3)) + 2, rng.normal(size=(400, 3)), 0)
    margins = [_held_out(sides, Fitted(ramp(1.0), 1.0, 1, 0.0), rise, 1.0)[0].margin for rise in (0.0, 0.7)]
    assert margins[1] - margins[0] == pytest.approx(0.7)


def test_a_critic_that_sees_the_sides_the_wrong_way_round_finds_less_than_nothing() -> None:
    sides = Arrays(normal(600, 3) + 2, normal(600, 3, 1), 0)
    x, y = (side[:, 0].double().numpy() for side in sides.part("test"))
    found, train, _ = _held_out(sides, Fitted(ramp(-1.0), 1.0, 1, 0.0), 0.0, evenness=1.0)
    assert train < 0 and found.value == pytest.approx(-(x.mean() - y.mean()) * sides.scale, rel=1e-4)
    error = math.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y)) * sides.scale
    assert found.error == pytest.approx(error, rel=1e-2)


class Given:
    """Sides whose parts differ by so much in the first number."""

    scale, paired = 3.0, False

    def __init__(self, **differences: float) -> None:
        self.parts = {name: Part(torch.eye(3)[:1] * far + torch.zeros(9, 3), torch.zeros(9, 3))
                      for name, far in differences.items()}  # fmt: skip

    def part(self, name: str) -> Part:
        return self.parts[name]


@pytest.mark.parametrize(("evenness", "least"), [(0.9, 0.9 * 2.0), (0.25, 1.0)])
def test_the_least_is_what_unseen_samples_or_evenness_leave_if_that_is_more(evenness: float, least: float) -> None:
    """Differences of 4 where it was trained and of 1 elsewhere, whose geometric mean is 2."""
    sides: Any = Given(train=4.0, test=1.0)
    found, train, gap = _held_out(sides, Fitted(ramp(1.0), 1.0, 1, 0.0), 0.0, evenness)
    value = least + evenness * (2.0 - least)
    assert (train, gap) == pytest.approx((3 * 4.0, 3 * 3.0))
    assert found.value == pytest.approx(3 * value) and found.margin == pytest.approx(
        3 * (0.1 * value + 2 * (2 - value))
    )
