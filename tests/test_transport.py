"""Exact transport and what is made of it, against brute force, SciPy, POT and closed forms."""

import itertools
import math
import signal
import threading
import time
from typing import Any

import numpy as np
import ot
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import chi

import wgan
from toolbox import Array, normal
from wgan.compare import choose
from wgan.distances.estimate import expected_seconds, standard_error, with_error_and_null
from wgan.distances.samples import by_content, halves, orders
from wgan.distances.transport import assigned, debiased, exact, less_noise, quadrature, w2
from wgan.errors import WganError


def test_transport_is_the_best_of_all_permutations() -> None:
    x, y = normal(6, 3), normal(6, 3, 1) + 1
    ways = [list(way) for way in itertools.permutations(range(6))]
    lengths = cdist(x, y)
    assert exact(x, y) == pytest.approx(min(lengths[range(6), way].mean() for way in ways), abs=1e-9)
    assert w2(x, y) == pytest.approx(min((lengths[range(6), way] ** 2).mean() for way in ways) ** 0.5, abs=1e-9)


@pytest.mark.parametrize("m", [30, 47])
def test_transport_is_that_of_pot(m: int) -> None:
    x, y = normal(30, 5), normal(m, 5, 1) * 2
    assert exact(x, y) == pytest.approx(ot.emd2([], [], cdist(x, y)), abs=1e-9)
    assert w2(x, y) ** 2 == pytest.approx(ot.emd2([], [], cdist(x, y) ** 2), abs=1e-9)


@pytest.mark.parametrize("tails", ["normal", "lattice", "cauchy"])
@pytest.mark.parametrize(("d", "shift"), [(2, 5.0), (8, 1.0), (300, 0.0)])
def test_each_sample_is_matched_with_one_at_the_least_cost(d: int, shift: float, tails: str) -> None:
    x, y = normal(120, d), normal(120, d, 1) + shift
    if tails != "normal":
        x, y = (np.round(x), np.round(y)) if tails == "lattice" else (x / normal(120, 1, 2), y / normal(120, 1, 3))
    columns, lengths = assigned(x, y)
    cost = cdist(x, y)
    assert sorted(columns) == list(range(120))
    assert lengths == pytest.approx(cost[range(120), columns], rel=1e-12)
    assert lengths.sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-9)


def test_a_solver_that_stops_early_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.distances.transport.MOST_PIVOTS", 1)
    with pytest.raises(WganError, match=r"^exact transport failed \(numItermax reached.*\); use --method sliced\.$"):
        exact(normal(20, 2), normal(20, 2, 1) + 5)


@pytest.mark.slow
def test_sets_that_are_apart_in_few_dimensions_take_as_long_as_expected() -> None:
    """To a factor of 5; a solver of another kind took 17 times as long."""
    began = time.process_time()
    with_error_and_null(quadrature, normal(1600, 2), normal(1600, 2, 1) + 5)
    assert time.process_time() - began < 5 * expected_seconds(1600, 2)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_shifted_copy_is_as_far_as_it_was_shifted(offset: float) -> None:
    x, shift = normal(50, 8) + offset, np.arange(8.0)
    assert exact(x, x + shift) == pytest.approx(np.linalg.norm(shift), rel=1e-9)
    assert w2(x, x + shift) == pytest.approx(np.linalg.norm(shift), rel=1e-9)


@pytest.mark.parametrize(("d", "shift"), [(2, 3.0), (10, 1.0), (784, 10.0)])
def test_quadrature_finds_the_shift_of_a_distribution(d: int, shift: float) -> None:
    x, y = normal(400, d), normal(400, d, 1) + shift / math.sqrt(d)
    value, error, *_ = with_error_and_null(quadrature, x, y)
    assert error is not None and error < 0.3 * shift
    assert abs(value - shift) < 3 * error
    assert with_error_and_null(exact, x, x + shift)[0] > shift * 0.999


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_quadrature_finds_the_scale_of_a_distribution(factor: float) -> None:
    x, y = normal(600, 300), factor * normal(600, 300, 1)
    truth = abs(1 - factor) * float(np.linalg.norm(x, axis=1).mean())
    value, error, *_ = with_error_and_null(quadrature, x, y)
    assert error is not None and error < 0.1 * truth
    assert value == pytest.approx(truth, rel=0.03)


def test_debiased_and_quadrature_are_their_formulas() -> None:
    def matched(x: Array, y: Array) -> float:
        cost = cdist(x, y)
        return float(cost[linear_sum_assignment(cost)].mean())

    x, y = normal(60, 4), normal(60, 4, 1) * 2 + 1
    (a, a2), (b, b2) = (halves(side, by_content(side, 3)) for side in (x, y))
    across, within = (matched(a, b2) + matched(a2, b)) / 2, (matched(a, a2), matched(b, b2))
    assert debiased(x, y, seed=3) == pytest.approx(across - sum(within) / 2, abs=1e-9)
    assert quadrature(x, y, seed=3) == pytest.approx((across**2 - within[0] * within[1]) ** 0.5, abs=1e-9)


def test_debiased_does_not_mind_shared_samples() -> None:
    x, fresh = normal(400, 10), normal(200, 10, 1)
    shared = np.concatenate([x[:200], fresh])
    value, error, *_ = with_error_and_null(debiased, x, shared)
    assert error is not None and abs(value) < 3 * error
    assert abs(value) < 0.1 < exact(x[:200], fresh)


@pytest.mark.parametrize("dimension", [8, 64])
def test_samples_that_were_made_from_the_others_are_no_trouble(dimension: int) -> None:
    """Pictures and the same pictures blurred: a half of one must not meet what was made of itself."""
    x, shift = normal(400, dimension), np.zeros(dimension)
    shift[0] = 1
    for made, truth in ((x + shift, 1.0), (1.1 * x, 0.1 * float(np.linalg.norm(x, axis=1).mean()))):
        value, error, *_ = with_error_and_null(quadrature, x, made)
        assert error is not None and value == pytest.approx(truth, abs=0.06 * truth + 3 * error)
        assert debiased(x, made) >= -1e-9
    assert quadrature(x, x.astype(np.float32)) == pytest.approx(0, abs=1e-4)
    assert with_error_and_null(quadrature, x, x)[:2] == (0.0, 0.0)


@pytest.mark.parametrize("scale", [1e-8, 1e-12, 1e8])
def test_transport_of_sets_of_two_sizes_has_the_scale_of_the_samples(scale: float) -> None:
    """POT's network simplex stops at an absolute tolerance."""
    x, y = normal(40, 3), normal(30, 3, 1)
    for method in (exact, w2):
        assert method(scale * x, scale * y) / scale == pytest.approx(method(x, y), rel=1e-6)


def test_squares_that_differ_by_rounding_alone_differ_by_nothing() -> None:
    assert less_noise(0.1 * 3, 0.3, 0.3) == 0.0 != (0.1 * 3) ** 2 - 0.3 * 0.3
    assert less_noise(1 + 1e-9, 1.0, 1.0) == pytest.approx(2e-9)
    assert less_noise(1.0, 1 + 1e-9, 1.0) == pytest.approx(-1e-9)


def test_the_standard_error_of_a_mean_is_that_of_the_means_of_eight_groups() -> None:
    """Of a mean, the 7 ways of halving 8 groups give their means' variance; the root is without bias if these are 7."""
    x, y = normal(400, 1), normal(320, 1, 1)
    of_x, of_y = ([part.mean() for part in np.array_split(side[order], 8)]
                  for side, order in zip((x, y), orders(x, y, 5), strict=True))  # fmt: skip
    wanted = np.std(np.subtract(of_x, of_y), ddof=1) / math.sqrt(8)
    shortfall = chi.mean(7) / math.sqrt(7)
    found = standard_error(lambda a, b, *, seed: float(a.mean() - b.mean()), x, y, 5)
    assert found == pytest.approx(wanted / shortfall, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 50), (50, 1), (1, 1)])
def test_a_single_sample_on_a_side_is_transported_exactly(n: int, m: int) -> None:
    assert choose(n, m, 3)[0] == "exact" and choose(20, 50, 3)[0] == "quadrature"
    x, y = normal(n, 3), normal(m, 3, 1)
    assert wgan.distance(x, y).value == pytest.approx(cdist(x, y).mean())


def test_the_least_of_a_distance_is_never_above_it() -> None:
    found = [with_error_and_null(quadrature, normal(40, 3, seed), normal(40, 3, seed + 50)) for seed in range(12)]
    assert any(each.value < 0 for each in found) and any(each.value > 0 for each in found)
    for each in found:
        assert each.least is not None and each.most is not None
        assert each.least <= each.value <= each.most and each.most >= 0


def test_a_signal_ends_the_wait_for_the_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    def solve(*args: Any, **given: Any) -> None:
        assert threading.current_thread() is not threading.main_thread(), "where no signal would be heard"
        time.sleep(20)  # which lets go of the lock, as POT does

    monkeypatch.setattr("ot.emd", solve)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            exact(normal(5, 2), normal(5, 2, 1))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 10


def test_what_the_solver_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **given: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("ot.emd", fail)
    with pytest.raises(MemoryError, match="no room"):
        exact(normal(5, 2), normal(5, 2, 1))
