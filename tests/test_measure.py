"""W1 by critics: closed forms, bounds that hold, parts that do not leak, words for bad input."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

from wgan.distances.transport import matched, quadrature
from wgan.errors import UsageError
from wgan.measure import W1, _bound, measure
from wgan.measure.critics import Fitted, Rays, fit_certified, fit_free
from wgan.measure.moves import ERRORS, Moves, _fold, transported
from wgan.measure.sides import Arrays, Part, Samplers, Sides, open_sides
from wgan.measure.verdict import Opinion, combine
from wgan.schedule import Budget

Array = NDArray[np.float64]
STEPS = 50


@pytest.fixture(autouse=True, scope="module")
def quick_steps() -> Iterator[None]:
    """What is tested here does not hang on the size of batches, and steps on smaller ones are quicker."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wgan.measure.critics.BATCH", 128)
        yield


def normal(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


def sphere(n: int, d: int) -> Array:
    x = normal(n, d, 3)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def turned(x: Array, noise: int, seed: int) -> Array:
    """Samples with dimensions of noise beside them, rotated."""
    d = x.shape[1] + noise
    rotation = np.linalg.qr(normal(d, d, 9))[0]
    return np.hstack([x, 3 * normal(len(x), noise, seed)]) @ rotation


PAIRS: dict[str, tuple[Array, Array, float]] = {
    "translation": (normal(2000, 8), normal(2000, 8, 1) + 3 / math.sqrt(8), 3.0),
    "scaling": (normal(2000, 8), 2 * normal(2000, 8, 1), float(np.linalg.norm(normal(10_000, 8, 2), axis=1).mean())),
    "delta and sphere": (np.zeros((1200, 128)), sphere(1200, 128), 1.0),
    "noise beside": (turned(normal(2000, 4), 8, 5), turned(normal(2000, 4, 1) + 1.5, 8, 6), 3.0),
}


@pytest.fixture(scope="module")
def found() -> dict[str, W1]:
    return {name: measure(a, b, steps=STEPS) for name, (a, b, _) in PAIRS.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_known_distances(found: dict[str, W1], name: str) -> None:
    truth, answer = PAIRS[name][2], found[name]
    assert answer.wasserstein == pytest.approx(truth, rel=0.05)
    assert answer.lower_bound <= truth
    assert answer.interval[0] <= truth <= answer.interval[1]
    assert 1 <= answer.lipschitz_certified < 1.001 and 0 < answer.lipschitz_observed <= answer.lipschitz_certified
    assert answer.dim == PAIRS[name][0].shape[1] and answer.n == len(PAIRS[name][0])


@pytest.mark.parametrize("name", ["translation", "scaling"])
def test_the_bound_is_worth_something(found: dict[str, W1], name: str) -> None:
    assert found[name].lower_bound > 0.6 * PAIRS[name][2] and found[name].conclusive


def test_rotating_both_sides_moves_the_answer_within_its_error() -> None:
    a, b, turn = normal(1000, 6), 1.5 * normal(1000, 6, 1) + 0.5, np.linalg.qr(normal(6, 6, 2))[0]
    one, other = (measure(*sides, steps=STEPS) for sides in ((a, b), (a @ turn, b @ turn)))
    assert abs(one.wasserstein - other.wasserstein) < 2 * math.hypot(one.standard_error, other.standard_error)
    for low, high in (one.interval, other.interval):
        assert low < min(one.wasserstein, other.wasserstein) and max(one.wasserstein, other.wasserstein) < high


@pytest.mark.parametrize("seed", range(3))
def test_one_distribution_is_at_no_distance_beyond_its_null(seed: int) -> None:
    answer = measure(normal(2000, 8, 2 * seed), normal(2000, 8, 2 * seed + 1), steps=STEPS, null=True, seed=seed)
    assert answer.null is not None
    assert answer.wasserstein <= answer.null < 0.7
    assert answer.lower_bound < 0.05 and answer.interval[0] < 0.05


def test_the_null_is_of_no_more_samples_than_the_smaller_side_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transport errs upwards by what few samples lack, so halves of thousands are nearer than hundreds."""
    seen: list[tuple[int, int] | None] = []

    def noted(a: Array, b: Array, seed: int) -> Sides:
        sides = open_sides(a, b, seed)
        seen.append(sides.sizes)
        return sides

    monkeypatch.setattr("wgan.measure.open_sides", noted)
    measure(normal(3000, 2), normal(400, 2, 1), steps=1, null=True)
    measure(normal(600, 2), normal(400, 2, 1), steps=1, null=True)
    assert seen == [(3000, 400), (400, 400), (600, 400), (300, 300)]


@pytest.mark.parametrize("seed", range(4))
def test_few_samples_of_one_distribution_cannot_tell(seed: int) -> None:
    answer = measure(normal(400, 20, 2 * seed), normal(400, 20, 2 * seed + 1), steps=30, seed=seed)
    assert not answer.conclusive and answer.interval[0] < 0.05 and answer.lower_bound < 0.05
    assert answer.wasserstein <= 5 * answer.standard_error


def test_the_bound_holds_where_samples_repeat() -> None:
    draws = (np.random.default_rng(seed).random((1000, 2)) for seed in range(4))
    answers = [measure(*((draw < [0.7, 0.5]).astype(float).T[..., None]), steps=30) for draw in draws]
    assert max(answer.lower_bound for answer in answers) <= 0.2
    assert np.mean([answer.wasserstein for answer in answers]) == pytest.approx(0.2, abs=0.05)


def test_there_is_no_bound_where_samples_may_be_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of one distribution, each six times: parts share them, and the bound would be far above 0."""
    x, y = (np.repeat(normal(120, 20, seed), 6, 0) for seed in (0, 1))
    found = measure(x, y, steps=10)
    assert found.lower_bound == 0 and found.copies == pytest.approx(5 / 6)
    assert "at least  0: no bound, for 83% of a side's samples are copies; remove them" in str(found)
    assert "certified" in str(measure(normal(240, 2), np.zeros((240, 2)), steps=1)), "a single point is no copies"
    monkeypatch.setattr("wgan.measure.COPIES", 1.0)
    assert measure(x, y, steps=10).lower_bound > 0.5


def test_moves_scales_and_roles() -> None:
    a, b = normal(1000, 4), normal(1000, 4, 1) + 1
    plain = measure(a, b, steps=STEPS)
    shifted = measure(a * 100 + 1e4, b * 100 + 1e4, steps=STEPS)
    swapped = measure(b, a, steps=STEPS)
    assert shifted.wasserstein / 100 == pytest.approx(plain.wasserstein, rel=0.05)
    assert shifted.lower_bound / 100 == pytest.approx(plain.lower_bound, rel=0.2)
    assert swapped.wasserstein == pytest.approx(plain.wasserstein, rel=0.05)
    assert swapped.lower_bound == pytest.approx(plain.lower_bound, rel=0.2)


def test_noise_beyond_the_range_is_seen_without_training() -> None:
    grey, noise = (0.6 * normal(4000, 64, 7) + 0.3).clip(0, 1), 0.3 * normal(4000, 64, 8)
    x, y = grey[:2000], grey[2000:] + noise[2000:]
    least = float(np.linalg.norm(y - y.clip(0, 1), axis=1).mean())  # W1 of any x in [0, 1], and no more than the noise
    most = float(np.linalg.norm(noise, axis=1).mean())
    for answer in (measure(x, y, steps=3), measure(y, x, steps=3)):
        assert 0.9 * least < answer.lower_bound <= least * 1.02 < most
        assert answer.lipschitz_certified == pytest.approx(1, abs=1e-5)
        assert answer.wasserstein >= answer.lower_bound and answer.interval[0] >= answer.lower_bound


def test_the_same_steps_and_seed_give_the_same_answer() -> None:
    a, b = normal(400, 3), normal(400, 3, 1) + 1
    first, again = (measure(a, b, steps=5, seed=7).to_json() for _ in range(2))
    for answer in (first, again):
        assert answer.pop("seconds") > 0
    assert first == again


def _normal(dim: int, n: int, draw: torch.Generator) -> Tensor:
    return torch.randn(n, dim, generator=draw)


def test_steps_bound_what_transport_may_take() -> None:
    """Some hundred million pairs of samples at most, which takes seconds."""
    for dim in (2, 784):
        sides = Samplers(*(partial(_normal, dim),) * 2, 0)
        assert 8 * 4 * (_fold(sides, Budget(10)) / 2) ** 2 < 1e8


@pytest.mark.parametrize("n", range(200, 230))
def test_at_least_four_sets_are_transported(n: int) -> None:
    sides = Arrays(normal(n, 2), normal(n, 2, 1), 0)
    assert len(list(sides.folds(_fold(sides, Budget(10))))) >= ERRORS


def moved(n: int, d: int, share: float, way: float) -> tuple[Array, Array]:
    """Samples, and others of which this share went this way."""
    x, y = normal(n, d), normal(n, d, 1)
    y[: round(share * n), 0] += way
    return x, y[np.random.default_rng(2).permutation(n)]


def moves(x: Array, y: Array) -> Moves:
    return transported(Arrays(x, y, 0), Budget(10), lambda share: None)


def least(found: Moves) -> float:
    """The lower of two ends, from what is believed between them and their ratio."""
    return found.distance.value / (2 - found.evenness)


@pytest.mark.parametrize(
    ("d", "share", "way", "swapped"), [(16, 0.1, 20.0, False), (16, 0.3, 10.0, True), (64, 0.3, 10.0, False)]
)
def test_a_part_that_moves_far_is_not_the_root_of_a_mean_square(
    d: int, share: float, way: float, swapped: bool
) -> None:
    x, y = moved(8000, d, share, way)[:: -1 if swapped else 1]
    found = moves(x, y)
    assert quadrature(x[:2000], y[:2000]) > 1.25 * share * way
    # The upper end of the least, from four sets.
    assert share * way * 0.95 < least(found) < share * way * 1.2 and found.evenness < 0.9
    assert abs(found.distance.value - share * way) < 1.25 * found.distance.margin


def test_a_class_that_is_missing_is_not_the_root_of_a_mean_square() -> None:
    """Of ten heaps, one is not in B: it is a tenth, and the others are ten away at most."""
    rng = np.random.default_rng(0)
    heaps = 10 / math.sqrt(2) * np.eye(10)
    x, y = (heaps[rng.integers(low, 10, 8000)] + 0.3 * rng.normal(size=(8000, 10)) for low in (0, 1))
    found = moves(x, y)
    assert least(found) == pytest.approx(1.0, rel=0.1) and found.evenness < 0.9


@pytest.mark.parametrize("name", ["translation", "scaling", "delta and sphere"])
def test_mass_that_moves_alike_moves_evenly(name: str) -> None:
    x, y, truth = PAIRS[name]
    found = moves(x, y)
    assert found.evenness > (0.8 if name == "scaling" else 0.95)  # scaling moves what is far out further
    assert found.distance.value == pytest.approx(truth, rel=0.05)


def test_where_nothing_moves_there_is_no_evenness_to_correct() -> None:
    found = [moves(normal(1600, 8, seed), normal(1600, 8, seed + 100)) for seed in range(8)]
    assert any(each.distance.value < 0 for each in found)
    assert all(each.evenness == 1 for each in found if each.distance.value < 0)
    assert all(0 <= each.evenness <= 1 for each in found)


def test_matches_point_to_each_other() -> None:
    x, y = moved(600, 3, 0.5, 4.0)
    found = matched(x, y, 0)
    for beside, within in ((found.beside_x, found.within_x), (found.beside_y, found.within_y)):
        assert np.array_equal(beside[beside], np.arange(600)) and np.array_equal(within[beside], within)
        assert (beside // 300 != np.arange(600) // 300).all()
    assert np.corrcoef(found.across, found.across[found.beside_y])[0, 1] > 0.8  # neighbours in B moved alike


def test_slopes_count_where_mass_moves() -> None:
    class Ramp(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -2 * (x[:, 0] - 5).relu() + 0.1 * x[:, 1]

    x, y = (torch.from_numpy(side).float() for side in moved(1000, 2, 0.1, 20.0))
    assert Rays(Part(x, y), 0).slope(Ramp()) == pytest.approx(1.7, abs=0.15)  # ways begin where the slope is 0.1


def test_samplers_draw_without_end(few_draws: None) -> None:

    def at(place: float) -> Any:
        return lambda n, draw: torch.randn(n, 3, generator=draw) + place

    answer = measure(at(0), at(2), steps=20)
    assert answer.wasserstein == pytest.approx(2 * math.sqrt(3), rel=0.05)
    assert answer.n is None and answer.lower_bound < 2 * math.sqrt(3)
    assert measure(at(0), at(0), steps=3, null=True).null is not None


@pytest.mark.parametrize("slopes", [nullcontext, torch.enable_grad])
def test_networks_draw_and_do_not_learn(slopes: Any, few_draws: None) -> None:
    network = torch.nn.Linear(3, 3)

    def through(n: int, draw: torch.Generator) -> Tensor:
        with slopes():
            made: Tensor = network(torch.randn(n, 3, generator=draw))
        return made

    answer = measure(through, lambda n, draw: through(n, draw) + 2, steps=3)
    assert answer.wasserstein == pytest.approx(2 * math.sqrt(3), rel=0.2)
    assert [weights.grad for weights in network.parameters()] == [None, None]


def test_one_step_and_one_point_are_enough() -> None:
    answer = measure(np.zeros((200, 1)), np.zeros((200, 1)), steps=1)
    assert answer.wasserstein == 0 and answer.lower_bound <= 0
    assert all(math.isfinite(value) for value in answer.to_json().values() if isinstance(value, float))


def test_a_budget_of_time_ends_in_time() -> None:
    shares: list[float] = []
    answer = measure(normal(400, 3), normal(400, 3, 1) + 1, seconds=2.0, progress=shares.append)
    assert answer.seconds < 10 and answer.steps > 4
    assert shares == sorted(shares) and shares[-1] <= 1


def test_parts_are_disjoint_and_hang_on_the_content() -> None:
    x = normal(1200, 2)
    sides = Arrays(x, x[::-1].copy(), 0)
    parts = {name: sides.part(name) for name in ("train", "validation", "test", "certify")}
    assert sum(len(part.x) for part in parts.values()) == len(x)
    rows = {tuple(row) for part in parts.values() for row in part.x.tolist()}
    assert len(rows) == len(x)
    for part in parts.values():
        assert {tuple(row) for row in part.x.tolist()} == {tuple(row) for row in part.y.tolist()}
    train = {tuple(row) for row in parts["train"].x.tolist()}
    assert {tuple(row) for row in sides.batch(3, 64, "any").x.tolist()} <= train
    certify_rows = {tuple(row) for row in parts["certify"].x.tolist()}
    folded = [tuple(row) for fold in sides.folds(100) for row in fold.x.tolist()]
    assert len(folded) == len(set(folded)) == 1000 and not certify_rows & set(folded)


def test_the_bound_is_that_of_the_samples_that_certify() -> None:
    sides = Arrays(normal(1200, 2) * 5, normal(1800, 2, 1) * 5 + 3, 0)
    critic = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[-3.0, -4.0]]))
    x, y = (side.double().numpy() @ [-3.0, -4.0] for side in sides.part("certify"))
    error = math.sqrt(max(x.var(ddof=1), y.var(ddof=1)) * (1 / len(x) + 1 / len(y)))
    expected = (x.mean() - y.mean() - stats.t.ppf(0.999, min(len(x), len(y)) - 1) * error) / 5 * sides.scale
    bound, constant, seen = _bound(sides, Fitted(critic, 1.0, 1, 0.0))
    assert (len(x), len(y)) == (200, 300)
    assert bound == pytest.approx(expected, rel=1e-4) and expected > 2
    assert constant == pytest.approx(5, rel=1e-4) and seen == pytest.approx(5, rel=1e-5)


def test_what_certifies_is_asked_for_once_when_both_critics_are_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def part(self: Arrays, name: str) -> Part:
        asked.append(name)
        return given(self, name)

    def batch(self: Arrays, step: int, size: int, stream: str) -> Part:
        asked.append("batch")
        return drawn(self, step, size, stream)

    given, drawn = Arrays.part, Arrays.batch
    monkeypatch.setattr(Arrays, "part", part)
    monkeypatch.setattr(Arrays, "batch", batch)
    measure(normal(400, 2), normal(400, 2, 1) + 1, steps=3)
    assert asked.count("certify") == 1 and asked[-1] == "certify"
    assert asked.count("test") == 1 and asked[-2:] == ["test", "certify"] and asked.count("batch") >= 6


def test_what_tests_and_certifies_changes_no_critic() -> None:
    sides = [Arrays(normal(1200, 2), normal(1200, 2, 1) + 1, 0) for _ in range(2)]
    for parts in sides[1]._parts:
        for name in ("test", "certify"):
            parts[name].add_(1000.0)
    for fit in (fit_free, fit_certified):
        one, other = (fit(each, Budget(5), lambda share: None) for each in sides)
        pairs = zip(one.critic.state_dict().values(), other.critic.state_dict().values(), strict=True)
        assert one.slope == other.slope and all(torch.equal(first, second) for first, second in pairs)


def test_endless_parts_are_different_draws() -> None:
    def draw(n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 2, generator=generator)

    sides = Samplers(draw, draw, 0)
    firsts = [sides.part(name).x[0].tolist() for name in ("train", "validation", "test", "certify")]
    firsts += [
        sides.part("test").y[0].tolist(),
        sides.batch(0, 4, "s").x[0].tolist(),
        sides.batch(1, 4, "s").x[0].tolist(),
    ]
    assert len({tuple(first) for first in firsts}) == len(firsts)
    assert torch.equal(sides.batch(1, 4, "s").y, sides.batch(1, 4, "s").y)


@pytest.mark.parametrize(
    ("a", "b", "budget", "words"),
    [
        (normal(300, 2), normal(300, 3), {}, "2 and 3 numbers"),
        (normal(30, 2), normal(300, 2), {}, "at least 200"),
        (normal(300, 2), normal(300, 2) * np.nan, {}, "NaN"),
        (normal(300, 2), lambda n, draw: torch.zeros(n, 2), {}, "two arrays, or two samplers"),
        (lambda n, draw: torch.zeros(n), lambda n, draw: torch.zeros(n), {}, r"\(n, D\)"),
        (lambda n, draw: torch.zeros(7, 2), lambda n, draw: torch.zeros(7, 2), {}, "7 samples where"),
        (normal(300, 2), normal(300, 2), {"null": True}, "at least 400"),
        (normal(300, 2) * 1e200, normal(300, 2), {}, "too large"),
        (normal(300, 2) * 1e60, normal(300, 2), {}, "spread"),
        (normal(300, 2), normal(300, 2), {"seconds": 0}, "seconds: 0 is too small; at least 0.001 is allowed"),
        (normal(300, 2), normal(300, 2), {"seconds": math.nan}, "seconds: nan is not a finite number"),
        (normal(300, 2), normal(300, 2), {"seconds": math.inf}, "seconds: inf is not a finite number"),
        (normal(300, 2), normal(300, 2), {"steps": "5"}, "steps: '5' is not a whole number"),
        (normal(300, 2), normal(300, 2), {"seed": -1}, "seed: -1 is too small; at least 0 is allowed"),
        (7.0, normal(300, 2), {"null": True}, "the samples are a float"),
        (*(lambda n, draw: torch.zeros(n, 2, dtype=torch.complex64),) * 2, {}, "an array of complex64, .* real"),
        (*(lambda n, draw: np.zeros((n, 2)) * 1j,) * 2, {}, "an array of complex128, .* real"),
        (*(lambda n, draw: torch.rand(n, 2) / 0,) * 2, {}, "gave NaN or infinite values; it must give finite"),
        (*(lambda n, draw: torch.tensor(1.0),) * 2, {}, "are a Tensor, but they must be an array"),
        (*(lambda n, draw: np.ma.masked_greater(normal(n, 2), 1.0),) * 2, {}, "a sampler's samples have masked values"),
        (*(lambda n, draw: torch.zeros(n, 2).to_sparse(),) * 2, {}, "a sampler's samples cannot .* is sparse"),
        (*(lambda n, draw: torch.zeros(n, 0),) * 2, {}, r"both must give \(n, D\)"),
        (normal(300, 2), normal(300, 2), {"steps": 0}, "steps: 0 is too small; at least 1 is allowed"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(a: Any, b: Any, budget: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        measure(a, b, **budget)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_it_learns_where_gradients_are_off(off: Callable[[], AbstractContextManager[None]], few_draws: None) -> None:
    x, y = torch.from_numpy(normal(240, 2)), torch.from_numpy(normal(240, 2, 1) + 3)
    expected = measure(x, y, steps=2)
    with off():
        found = measure(x, y, steps=2)
        assert not torch.is_grad_enabled()
        drawn = measure(*(lambda n, draw, at=at: torch.rand(n, 2, generator=draw) + at for at in (0, 1)), steps=1)
    assert replace(found, seconds=0.0) == replace(expected, seconds=0.0)
    assert drawn.steps == 2 and drawn.lower_bound <= math.sqrt(2)


def test_estimates_that_agree_are_believed() -> None:
    verdict = combine(Opinion(1.0, 0.01, 0.1), Opinion(1.1, 0.01, 0.1), 1.0, 0.8, 5.0, 0.0)
    assert verdict.conclusive and verdict.wasserstein == pytest.approx(1.05)
    assert 0.8 <= verdict.interval[0] < 1.0 and 1.1 < verdict.interval[1] < 1.5
    nothing = combine(Opinion(0.0, 1e-290, 0.0), Opinion(0.0, 0.0, 0.0), 0.0, 0.0, 1.0, 0.0)  # a set and itself
    assert nothing.conclusive and nothing.error == 0


def test_estimates_that_disagree_leave_the_bounds() -> None:
    verdict = combine(Opinion(0.3, 0.01, 0.03), Opinion(1.2, 0.05, 0.12), 1.0, 0.1, 5.0, 0.0)
    assert not verdict.conclusive and verdict.interval == (0.1, 5.0)


def test_what_moments_demand_must_be_found() -> None:
    found = Opinion(2.0, 0.01, 0.1), Opinion(2.1, 0.01, 0.1), 1.0, 1.7, 5.0
    assert combine(*found, 2.0) == combine(*found, 0.0) and combine(*found, 0.0).conclusive
    verdict = combine(*found, 3.0)
    assert not verdict.conclusive and verdict.interval == (1.7, 5.0)
    assert verdict.wasserstein == combine(*found, 0.0).wasserstein
    assert combine(*found[:2], 0.01, *found[3:], 3.0).conclusive, "where transport is exact nothing can be missed"


def test_the_surer_estimate_weighs_more() -> None:
    assert combine(Opinion(0.01, 0.005, 0.001), Opinion(0.5, 0.5, 0.05), 1.0, 0.0, 9.0, 0.0).wasserstein < 0.02
    assert combine(Opinion(0.6, 0.01, 0.2), Opinion(1.0, 0.01, 0.1), 0.1, 0.0, 9.0, 0.0).wasserstein > 0.97


def test_noisy_transport_below_the_critic_is_not_believed() -> None:
    critic, transport = Opinion(2.0, 0.01, 0.2), Opinion(0.1, 0.01, 0.01)
    answer = combine(critic, transport, 0.9, 1.5, 9.0, 0.0)
    assert answer.wasserstein > 1.9 and not answer.conclusive and answer.interval == (1.5, 9.0)
    assert combine(critic, transport, 0.01, 0.05, 9.0, 0.0).wasserstein < 0.2


def test_a_critic_above_what_transport_costs_is_wrong() -> None:
    """A point against a sphere around it: transport costs 1, all of it true, and a half of it looks like noise."""
    answer = combine(Opinion(1.6, 0.01, 0.2), Opinion(1.0, 0.001, 0.1), 0.7, 0.9, 1.0, 0.0)
    assert answer.wasserstein == pytest.approx(1.0) and answer.conclusive


@pytest.mark.parametrize("swapped", [False, True])
def test_noise_in_all_numbers_is_bounded_and_not_believed_to_be_small(swapped: bool) -> None:
    """Samples in 8 of 64 dimensions, and the same with noise of .5 in each: 3.5 to 4 away, and .5 in every sample."""
    turn = np.linalg.qr(normal(64, 64, 5))[0][:8]
    a, b = 3 * normal(3000, 8) @ turn, 3 * normal(3000, 8, 1) @ turn + 0.5 * normal(3000, 64, 2)
    found = measure(*((b, a) if swapped else (a, b)), steps=20)
    assert 3.4 < found.lower_bound < 4.0 < found.interval[1]
    assert 3.3 < found.moments < 4.0  # less 1.645 standard errors


@pytest.mark.parametrize("swapped", [False, True])
def test_details_that_means_and_covariances_do_not_show_are_bounded(swapped: bool) -> None:
    """Signs of 32 numbers, and normal numbers that were moved: to the nearest signs no way is shorter."""
    draw = np.random.default_rng(0)
    a, b = draw.choice([-1.0, 1.0], (2500, 32)), normal(2500, 32, 1) + np.eye(1, 32) * 4
    truth = np.linalg.norm(b - np.sign(b), axis=1).mean()
    found = measure(*((b, a) if swapped else (a, b)), steps=20)
    assert 0.95 * truth < found.lower_bound < truth < found.interval[1] and found.transport < 0.9 * truth
    assert found.wasserstein > 0.95 * truth


def test_a_critic_of_a_few_steps_has_not_converged() -> None:
    a, b = normal(400, 3), normal(400, 3, 1) + 1 / math.sqrt(3)
    short, long = (measure(a, b, steps=steps) for steps in (5, 60))
    assert not short.converged and "still rising" in str(short)
    assert long.converged and f"{long.lipschitz_observed:.4f} observed, not a bound" in str(long)
