"""How the critics of a measurement are trained, chosen and looked at, and on which samples."""

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wgan.constraints import Unconstrained
from wgan.distances.transport import exact
from wgan.errors import UsageError
from wgan.measure.critics import (
    Rays,
    Training,
    _better,
    _free,
    _lattice,
    _off,
    _orthogonal,
    difference,
    fit_certified,
)
from wgan.measure.sides import Arrays, Part, Samplers
from wgan.networks.one_lipschitz import ReconstructionError
from wgan.schedule import Budget

Array = NDArray[np.float64]


def normal(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


def uniform(n: int, draw: Any) -> Tensor:
    return torch.rand(n, 2, generator=draw)


def test_a_sampler_that_draws_the_same_each_time_is_refused() -> None:
    """For what it certifies would be what it was trained on."""

    def fixed(n: int, draw: torch.Generator) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(n, 3))

    def point(n: int, draw: torch.Generator) -> torch.Tensor:
        return torch.ones(n, 3)

    def moving(n: int, draw: torch.Generator) -> torch.Tensor:
        return torch.randn(n, 3, generator=draw)

    for a, b in ((fixed, moving), (moving, fixed)):
        with pytest.raises(UsageError, match="a sampler gives the same samples at each call; let them depend"):
            Samplers(a, b, 0)
    assert Samplers(point, moving, 0).dim == 3


def test_folds_of_samplers_are_draws_of_their_own() -> None:
    sides = Samplers(uniform, uniform, 0)
    drawn = [*islice(sides.folds(4), 3), *(sides.part(name) for name in ("train", "validation", "test", "certify"))]
    drawn += [sides.batch(step, 4, stream) for step in range(2) for stream in ("s", "t")]
    firsts = [tuple(side[0].tolist()) for part in drawn for side in part]
    assert len(set(firsts)) == len(firsts) == 22


def test_batches_of_arrays_are_others_in_each_step_and_stream() -> None:
    sides = Arrays(normal(600, 2), normal(600, 2, 1), 0)
    one, *others = (sides.batch(step, 64, stream).x for step, stream in ((3, "s"), (4, "s"), (3, "t")))
    assert not any(torch.equal(one, other) for other in others) and torch.equal(one, sides.batch(3, 64, "s").x)


@pytest.mark.parametrize(("dim", "places"), [(2**16, 2048), (2**26, 2048), (2**12, 2**15), (2, 65_536)])
def test_endless_parts_fit_into_memory_but_have_two_thousand_samples(
    dim: int, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides, asked = Samplers(uniform, uniform, 0), list[int]()

    def noted(size: int, stream: str, index: int) -> Any:
        asked.append(size)
        return iter((torch.zeros(1, 2), torch.zeros(1, 2)))

    monkeypatch.setattr(sides, "_raw", noted)
    sides.dim = dim
    sides.part("test")
    assert asked == [places]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_single_value_of_a_sampler_that_is_not_finite_is_refused(value: float) -> None:
    def draw(n: int, generator: torch.Generator) -> Tensor:
        x = uniform(n, generator)
        x[n // 2, 0] = value
        return x

    with pytest.raises(Exception, match="NaN or infinite values"):
        Samplers(draw, draw, 0)


def test_points_lie_where_mass_moves_on_the_shortest_ways_and_at_both_their_ends() -> None:
    n = 400
    x, y = normal(n, 6), normal(n, 6, 1) + np.array([2.0, 0, 0, 0, 0, 0])
    given = Part(*(torch.from_numpy(side).float() for side in (x, y)))
    rays = Rays(given, 0)
    ends = [side.double().numpy() for side in (rays.x, rays.y, rays.points)]
    ways, gone = (np.linalg.norm(ends[0] - end, axis=1) for end in ends[1:])
    assert ways.mean() == pytest.approx(exact(x, y), rel=1e-5)
    noise = exact(x[: n // 2], x[n // 2 :]) * exact(y[: n // 2], y[n // 2 :])
    most = np.sqrt((ways**2 - noise).clip(0)) / ways / 2
    place = gone / ways
    near = np.minimum(place, 1 - place)
    moves = most > 0.1
    share = (near / most.clip(1e-9))[moves]
    assert (near <= most + 1e-5).all() and moves.sum() > 100
    assert share.mean() == pytest.approx(0.5, abs=0.08) and share.max() > 0.95
    assert (place[moves] < 0.5).mean() == pytest.approx(0.5, abs=0.1)
    assert not torch.equal(rays.points, Rays(given, 1).points)


class Valley(nn.Module):
    """Rises by 3 to the right of 0 and falls by 1 to the left."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * x[:, 0].relu() - (-x[:, 0]).relu() - 0 * x[:, 0]


def test_slopes_count_as_much_as_the_critic_sees_whichever_way_it_falls() -> None:
    x = torch.tensor([[10.0, 0.0], [-10.0, 0.0]]).repeat(20, 1) + 0.001 * torch.arange(40.0)[:, None]
    y = x + torch.tensor([[5.0, 0.0], [-5.0, 0.0]]).repeat(20, 1)
    assert Rays(Part(x, y), 0).slope(Valley()) == pytest.approx((3 * 15 + 1 * 5) / 20, rel=1e-3)


def ramp(slope: float) -> nn.Module:
    critic = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Flatten(0))
    with torch.no_grad():
        critic[0].weight.copy_(torch.tensor([[slope, 0.0, 0.0]]))
    return critic


def training(critic: nn.Module, rays: Rays | None = None) -> Training:
    sides = Arrays(normal(600, 3) + 1, normal(600, 3, 1), 0)
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.5)
    return Training(critic, Unconstrained(), (optimizer,), sides, Budget(20), "ramp", rays)


def test_the_critic_that_did_best_over_its_slope_on_validation_samples_is_kept() -> None:
    critic = ramp(2.0)
    part = Arrays(normal(600, 3) + 1, normal(600, 3, 1), 0).part("validation")
    found = training(critic, Rays(part, 0))
    expected = float(part.x[:, 0].double().mean() - part.y[:, 0].double().mean())
    for slope, estimate in ((2.0, expected), (0.5, expected / 2), (-1.0, -expected)):
        with torch.no_grad():
            critic[0].weight.copy_(torch.tensor([[slope, 0.0, 0.0]]))  # type: ignore[index]
        found._look(0.5)
        assert found.trace[-1][1] == pytest.approx(estimate, rel=1e-5)
    assert difference(found.best, part)[0] == pytest.approx(2 * expected, rel=1e-5)
    assert found.slope == pytest.approx(2.0)


@pytest.mark.parametrize(("share", "factor"), [(0.0, 1.0), (0.2, 1.0), (0.5, 0.65), (0.9, 0.13)])
def test_rates_fall_to_nothing_at_the_end(share: float, factor: float) -> None:
    found = training(ramp(0.0))
    found._step(share)
    batch = found.sides.batch(0, 512, "ramp batch")
    slope = batch.x.mean(0) - batch.y.mean(0)
    weight = next(found.critic.parameters()).detach()[0]
    assert torch.allclose(weight, 0.5 * factor * slope, rtol=1e-4, atol=1e-7)


def test_each_step_sees_the_batch_of_its_number() -> None:
    found = training(ramp(0.0))
    found.steps = 7
    found._step(0.0)
    batch = found.sides.batch(7, 512, "ramp batch")
    assert torch.allclose(next(found.critic.parameters()).detach()[0], 0.5 * (batch.x.mean(0) - batch.y.mean(0)))


def test_the_rise_is_that_of_the_last_quarter() -> None:
    found = training(ramp(0.0))

    def look(share: float) -> None:
        found.trace.append((share, share**2))

    found._look, found._step = look, lambda share: None  # type: ignore[method-assign, assignment]
    assert found.run(1.0, lambda share: None).rise == pytest.approx(1 - 0.75**2)


class Trial:
    """Says what it was asked for."""

    def __init__(self, estimate: float, spent: float) -> None:
        self.trace, self.spent, self.asked = [(0.1, estimate)], spent, list[float]()

    def run(self, until: float, progress: Callable[[float], None]) -> "Trial":
        self.asked.append(until)
        progress(until)
        return self


def test_the_better_of_two_goes_on_with_the_time_that_is_left() -> None:
    trials: Any = [Trial(1.0, 3.0), Trial(2.0, 4.0), Trial(1.5, 5.0)]
    told: list[float] = []
    found: Any = _better(trials, told.append)
    assert found is trials[1] and found.spent == 12.0
    assert [trial.asked for trial in trials] == [[0.1], [0.1, 1.0], [0.1]]
    assert told == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 1.0])


def test_steps_are_those_of_the_better_alone() -> None:
    trials = [training(ramp(1.0)), training(ramp(0.0))]
    assert _better(trials, lambda share: None).steps == 20
    assert sorted(trial.steps for trial in trials) == [2, 20]


def test_subspaces_go_through_the_middle_of_the_samples_and_along_their_principal_components() -> None:
    turn = np.linalg.qr(normal(40, 40, 5))[0]
    x = (np.r_[10.0 * np.ones(8), np.ones(32)] * normal(500, 40)) @ turn + 100 * turn[20]
    offs = [off for off in _off(torch.from_numpy(x).float(), 1.0) if isinstance(off, ReconstructionError)]
    centred = x - x.mean(0)
    directions = np.linalg.svd(centred, full_matrices=False)[2]
    assert len(offs) == 2  # 0 and 8 of 40
    for off, span in zip(offs, (0, 8), strict=True):
        rest = centred - centred @ directions[:span].T @ directions[:span]
        found = off(torch.from_numpy(x).float()).numpy()
        assert np.allclose(found, np.linalg.norm(rest, axis=1), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_parts_lie_around_0_and_the_wider_side_has_a_spread_of_1(offset: float) -> None:
    x, y = 5 * normal(1200, 3) + offset, 0.1 * normal(1200, 3, 1) + offset + 2
    sides = Arrays(x, y, 0)
    one, other = (torch.cat([parts[name] for name in parts]).double().numpy() for parts in sides._parts)
    assert np.allclose(one.mean(0), -other.mean(0), atol=1e-5)
    assert max(float((side**2).mean()) for side in (one, other)) == pytest.approx(1.0, rel=1e-5)
    assert (one.mean(0) - other.mean(0)) * sides.scale == pytest.approx(x.mean(0) - y.mean(0), rel=1e-4)


def test_ways_off_are_those_of_samples_that_train_and_are_chosen_on_others() -> None:
    """Of one distribution in many dimensions the box of one side's samples always looks too small for the other's."""
    sides = Arrays(normal(300, 40), normal(300, 40, 1), 0)
    train, validation = sides.part("train"), sides.part("validation")
    offs = [*_off(train.x, -1.0), *_off(train.y, 1.0)]
    on_train, on_others = ([difference(off, part)[0] for off in offs] for part in (train, validation))
    assert np.argmax(on_train) != np.argmax(on_others)
    found = fit_certified(sides, Budget(3), lambda share: None).critic
    assert difference(found, validation)[0] >= max(on_others)


def test_the_box_is_that_of_the_samples_that_train() -> None:
    x = np.random.default_rng(0).random((600, 8))
    sides = Arrays(x, x[::-1] + 0.5 * normal(600, 8), 0)
    critic = fit_certified(sides, Budget(3), lambda share: None).critic
    boxes = [off(sides.part("validation").y) for off in _off(sides.part("train").x, -1.0)]
    assert any(torch.equal(critic(sides.part("validation").y), box) for box in boxes)


def test_first_weights_of_every_critic_hang_on_the_seed() -> None:
    made = []
    for seed in (0, 0, 1):
        sides = Arrays(normal(240, 3), normal(240, 3, 1), seed)
        rays = Rays(sides.part("validation"), seed)
        trials = [_free(sides, Budget(1), "silu", rays), _orthogonal(sides, Budget(1)), _lattice(sides, Budget(1))]
        made.append([torch.cat([w.detach().flatten() for w in trial.critic.parameters()]) for trial in trials])
    assert all(torch.equal(*pair) for pair in zip(*made[:2], strict=True))
    assert not any(torch.equal(*pair) for pair in zip(*made[1:], strict=True))


@pytest.mark.parametrize(("steps", "apart", "most"), [(5, 5, 1), (50, 10, 6), (400, 20, 20)])
def test_a_critic_of_few_steps_is_looked_at_seldom(steps: int, apart: int, most: int) -> None:
    found = _lattice(Arrays(normal(240, 2), normal(240, 2, 1), 0), Budget(steps))
    seen: list[int] = []
    look = found._look
    found._look = lambda share: (seen.append(found.steps), look(share))  # type: ignore[method-assign, func-returns-value]
    found.run(1.0, lambda share: None)
    assert min(np.diff([0, *seen[:-1]]), default=apart) >= apart and seen[-1] == steps and len(seen) <= most


@pytest.mark.filterwarnings("error")
def test_samples_that_must_not_be_written_to_are_cut_without_a_warning() -> None:
    x, y = normal(300, 2), normal(300, 2, 1)
    x.flags.writeable = y.flags.writeable = False
    assert len(Arrays(x, y, 0).part("train").x) == 175
