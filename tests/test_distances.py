"""Distances of samples, against SciPy, POT, brute force and closed forms."""

import itertools
import math
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import ot
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.optimize import minimize, minimize_scalar
from scipy.spatial.distance import cdist, pdist
from scipy.special import xlogy
from scipy.stats import energy_distance, wasserstein_distance

from toolbox import Array, normal
from wgan.compare import affordable, choose
from wgan.distances import memory
from wgan.distances.estimate import null_size, standard_error, with_error_and_null
from wgan.distances.gaussian import gaussian, gaussian_less_noise
from wgan.distances.kernels import energy, mmd
from wgan.distances.line import DIRECTIONS, line, projected_distances, sliced
from wgan.distances.memory import free_memory
from wgan.distances.samples import by_content, halves, orders
from wgan.distances.sinkhorn import SMOOTHING, entropic_cost, sinkhorn
from wgan.distances.transport import across_and_within, debiased, exact, less_noise, quadrature, w2
from wgan.errors import UsageError, WganError
from wgan.registry import DISTANCES
from wgan.seeds import rng

Pair = tuple[Array, Array]


@pytest.fixture(params=DISTANCES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def distance(name: str) -> Callable[..., float]:
    method: Callable[..., float] = DISTANCES[name].load()
    return method


@pytest.fixture(params=[(40, 40), (40, 25)], ids=["one size", "two sizes"])
def pair(name: str, request: pytest.FixtureRequest) -> Pair:
    n, m = request.param
    d = 1 if name == "line" else 3
    return normal(n, d), normal(m, d, 1) * 1.5 + 0.5


def test_a_set_is_at_no_distance_from_itself(name: str, distance: Callable[..., float], pair: Pair) -> None:
    x, _ = pair
    found = distance(x, x[::-1])
    if name == "mmd":  # without bias: each sample's own copy counts across, but not within
        assert -2 / (len(x) - 1) <= found <= 0
    else:
        assert found == pytest.approx(0, abs=1e-6)


def test_both_orders_of_sets_and_samples_are_alike(distance: Callable[..., float], pair: Pair) -> None:
    x, y = pair
    found = distance(x, y)
    assert distance(y, x) == pytest.approx(found, rel=1e-6, abs=1e-9)
    shuffle = np.random.default_rng(5)
    assert distance(shuffle.permutation(x), shuffle.permutation(y)) == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_what_is_further_away_is_further_away(distance: Callable[..., float], pair: Pair) -> None:
    x, y = pair
    near, far = distance(x, y), distance(x, y + 5)
    assert isinstance(far, float) and far > near + 0.2


def test_tensors_and_pictures_are_welcome(distance: Callable[..., float], pair: Pair) -> None:
    x, y = pair
    found = distance(x, y)
    tensors = torch.tensor(x, requires_grad=True), torch.from_numpy(y)
    assert distance(*tensors) == found
    assert distance(x.reshape(len(x), 1, -1, 1), y.reshape(len(y), 1, -1, 1)) == found


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.full((10, 3), np.nan), "NaN or infinite"),
        (np.full((10, 3), np.inf), "NaN or infinite"),
        (np.zeros((10, 4)), "both must have the same"),
        (np.zeros((0, 3)), "at least"),
    ],
)
def test_what_is_no_set_of_samples_is_refused(distance: Callable[..., float], bad: Array, words: str) -> None:
    for x, y in ((bad, np.zeros((10, 3))), (np.zeros((10, 3)), bad)):
        with pytest.raises(UsageError, match=words) as caught:
            distance(x, y)
        assert str(caught.value).count(".") == 1


def test_copies_are_spread_over_halves() -> None:
    x = (np.random.default_rng(0).random((1000, 1)) < 0.7).astype(float)
    first, second = halves(x, by_content(x, 0))
    assert first.mean() == pytest.approx(second.mean(), abs=0.07)
    assert line(first, second) < 0.07


def test_one_sample_that_is_there_often_is_spread_over_halves() -> None:
    """Pictures of which a sixth are blank: together they would be in one half, and not in the other."""
    x = normal(1000, 3) + 1
    x[:170] = 0
    blank = [int((half == 0).all(1).sum()) for half in halves(x, by_content(x, 0))]
    assert sum(blank) == 170 and abs(blank[0] - blank[1]) < 5 * math.sqrt(170)
    y = normal(1000, 3, 1) + 1
    y[:100] = 0
    assert abs(quadrature(x, y)) < 0.3 < exact(x, y)


def test_a_few_copies_stay_together() -> None:
    x = np.random.default_rng(0).normal(size=(400, 64))
    x[350:] = x[:50]
    first, second = (set(map(bytes, half)) for half in halves(x, by_content(x, 0)))
    assert len(first & second) <= 1  # the copies in the middle


def test_copies_on_a_side_are_no_distance() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 600, 64))
    for side in (x, y):
        side[:30] = side[30:60]
    assert quadrature(x, y) < 1.5  # 2.9 where copies in both halves hide the noise


def quadrature_square(x: Array, y: Array, seed: int) -> float:
    """Which noise makes negative as often as positive."""
    return less_noise(*across_and_within(x, y, seed))


@pytest.mark.parametrize("method", [debiased, quadrature_square])
def test_independent_samples_of_discrete_data_are_not_held_apart(method: Callable[..., float]) -> None:
    """Were equal samples kept out of each other's way, as shared ones are, one distribution would seem two."""
    draw = np.random.default_rng(0)
    found = [method(*draw.integers(0, 2, (2, 300, 8)).astype(float), seed=seed) for seed in range(24)]
    assert abs(np.mean(found)) < 2.5 * np.std(found, ddof=1) / math.sqrt(len(found))


def test_the_standard_error_of_discrete_data() -> None:
    draw = np.random.default_rng(0)
    sides = (((draw.random((400, 1)) < p).astype(float) for p in (0.3, 0.5)) for _ in range(40))
    errors = [standard_error(line, x, y, seed) for seed, (x, y) in enumerate(sides)]
    assert np.mean(errors) == pytest.approx(math.sqrt((0.3 * 0.7 + 0.5 * 0.5) / 400), rel=0.15)


def with_blanks(share: float) -> Pair:
    """A set with some blank samples, and the same in another order but for one sample."""
    x = normal(400, 4)
    x[: round(share * len(x))] = 0
    y = np.random.default_rng(1).permutation(x)
    y[np.flatnonzero(y.any(1))[0]] += 1
    return x, y


BITS = np.random.default_rng(0).integers(0, 2, (300, 8)).astype(float)
OVERLAPS: dict[str, Pair] = {
    "equal": (BITS, np.random.default_rng(1).permutation(BITS)),
    "but for one": (BITS, np.random.default_rng(1).permutation(BITS)[1:]),
    "two thirds": (normal(300, 4), np.random.default_rng(1).permutation(normal(300, 4)[:200])),
    "few blanks": with_blanks(0.02),
    "many blanks": with_blanks(0.2),
}


@pytest.mark.parametrize("name", OVERLAPS)
def test_sets_that_share_samples_correspond(name: str) -> None:
    x, y = OVERLAPS[name]
    first, second = (side[order] for side, order in zip((x, y), orders(x, y, 0), strict=True))
    single = [{row for row, k in Counter(map(tuple, side)).items() if k == 1} for side in (x, y)]
    both = single[0] & single[1]
    kept = [[tuple(row) for row in side if tuple(row) in both] for side in (first, second)]
    assert kept[0] == kept[1]


def test_halves_are_disjoint_and_hang_on_the_content_only() -> None:
    x = normal(41, 2)
    one, other = halves(x, by_content(x, 0))
    assert len(one) == len(other) == 20
    assert not set(map(tuple, one)) & set(map(tuple, other))
    assert np.array_equal(halves(x[::-1], by_content(x[::-1], 0))[0], one)
    assert not np.array_equal(halves(x, by_content(x, 1))[0], one)


def test_on_the_line() -> None:
    x, y = normal(50, 1), normal(50, 1, 1) + 1
    expected = np.abs(np.sort(x, 0) - np.sort(y, 0)).mean()
    for method in (line, exact, sliced):
        assert method(x, y) == pytest.approx(expected, abs=1e-9)
        assert method(x[:30], y) == pytest.approx(ot.emd2_1d(x[:30, 0], y[:, 0], metric="euclidean"), abs=1e-9)
        assert method(x[:, 0], y[:, 0]) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(UsageError, match="single numbers"):
        line(normal(5, 2), normal(5, 2))


def test_sliced_sees_its_part_of_a_shift() -> None:
    x, shift = normal(20, 2), np.array([3, 4])
    expected, spread = 2 / math.pi, math.sqrt(1 / 2 - (2 / math.pi) ** 2)  # of |cos|, uniform angle
    assert sliced(x, x + shift) == pytest.approx(5 * expected, abs=5 * 4 * spread / math.sqrt(500))
    assert sliced(x, x + shift) == sliced(x, x + shift, seed=0) != sliced(x, x + shift, seed=1)


@pytest.mark.parametrize("block", [1, 500, 2**22])
def test_sliced_is_that_of_pot_however_many_lines_are_done_at_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(40, 3), normal(30, 3, 1) * 2
    directions = torch.randn(3, DIRECTIONS, generator=rng(7, "directions")).double().numpy()
    projections = directions / np.linalg.norm(directions, axis=0)
    monkeypatch.setattr("wgan.distances.line.BLOCK", block)
    expected = ot.sliced_wasserstein_distance(x, y, projections=projections, p=1)
    assert sliced(x, y, seed=7) == pytest.approx(expected, rel=1e-12)
    each = [wasserstein_distance(x @ way, y @ way) for way in projections.T]
    assert projected_distances(x, y, 7) == pytest.approx(np.array(each), rel=1e-9)


def test_sliced_needs_memory_for_a_few_lines_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.distances.line.BLOCK", 2**16)
    x = normal(2000, 2)
    tracemalloc.start()
    sliced(x, x + 1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 * 8 * 2**16 < 8 * 4000 * DIRECTIONS, "sixteen arrays of a block, less than all projections"


@pytest.mark.parametrize("m", [12, 9])
def test_sinkhorn_solves_the_smooth_dual(m: int) -> None:
    x, y = normal(12, 2), normal(m, 2, 1) + 1
    smoothing = SMOOTHING * cdist(x, y).mean()

    def cost(a: Array, b: Array) -> float:
        c, n = cdist(a, b), len(a)

        def dual(fg: Array) -> tuple[float, Array]:
            plan = np.exp((fg[:n, None] + fg[n:] - c) / smoothing) / c.size
            slope = np.concatenate([plan.sum(1) - 1 / n, plan.sum(0) - 1 / len(b)])
            return smoothing * (plan.sum() - 1) - fg[:n].mean() - fg[n:].mean(), slope

        return -float(minimize(dual, np.zeros(n + len(b)), jac=True, method="BFGS").fun)

    assert sinkhorn(x, y) == pytest.approx(cost(x, y) - cost(x, x) / 2 - cost(y, y) / 2, abs=1e-5)
    assert sinkhorn(x[:1], y[:1]) == pytest.approx(np.linalg.norm(x[0] - y[0]))
    assert sinkhorn(x, x + np.array([300, 400])) == pytest.approx(500, rel=0.01)


def test_entropic_cost_is_that_of_pot() -> None:
    lengths = cdist(normal(30, 2), normal(20, 2, 1) + 1)
    expected = ot.solve(lengths, reg=0.3, reg_type="KL", max_iter=10_000, tol=1e-9).value
    assert entropic_cost(lengths, 0.3) == pytest.approx(expected, abs=1e-5)


def test_energy_is_that_of_scipy_and_of_the_double_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(31, 1), normal(23, 1, 1) * 2
    assert energy(x, y) == pytest.approx(energy_distance(x[:, 0], y[:, 0]), abs=1e-9)
    x, y = normal(31, 3), normal(23, 3, 1) * 2
    expected = math.sqrt(2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean())
    assert energy(x, y) == pytest.approx(expected, abs=1e-9)
    monkeypatch.setattr("wgan.distances.samples.BLOCK", 50)
    assert energy(x, y) == pytest.approx(expected, abs=1e-9)


def test_mmd_is_the_double_sum() -> None:
    x, y = normal(12, 3), normal(9, 3, 1) + 1
    both = [*x, *y]
    width = np.median([np.linalg.norm(a - b) for a, b in itertools.combinations(both, 2)])

    def k(a: Array, b: Array) -> float:
        return math.exp(-sum((a - b) ** 2) / (2 * width**2))

    within = [np.mean([k(a, b) for a, b in itertools.permutations(side, 2)]) for side in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert mmd(x, y) == pytest.approx(sum(within) - 2 * across, abs=1e-9)


def test_a_small_shift_of_wide_sets_is_not_lost_beside_their_spread() -> None:
    x = np.random.default_rng(0).normal(size=(500, 2)) * 1e4
    assert gaussian(x, x + 1e-4) == pytest.approx(1e-4 * math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("scale", [1e-9, 1e6])
def test_mmd_has_no_unit_even_where_most_samples_are_copies(scale: float) -> None:
    x, y = (np.where(normal(90, 2, k)[:, :1] < 0.8, 0, normal(90, 2, k + 2)) / 1000 for k in range(2))
    lengths = pdist(np.concatenate((x, y)))
    assert np.median(lengths) == 0
    width = np.median(lengths[lengths > 0])
    xx, yy, xy = (np.exp(cdist(*pair, "sqeuclidean") / (-2 * width**2)) for pair in ((x, x), (y, y), (x, y)))
    expected = ((xx.sum() + yy.sum()) / 90 - 2) / 89 - 2 * xy.mean()
    assert mmd(x * scale, y * scale) == pytest.approx(expected, rel=1e-9)
    assert mmd(x * 0, y * 0) == 0


def test_gaussian_is_the_closed_form() -> None:
    x, y = normal(200, 4), normal(150, 4, 1) @ normal(4, 4, 2)
    cx, cy = np.cov(x.T), np.cov(y.T)
    root = sqrtm(cx)
    square = sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(cx + cy - 2 * np.real(sqrtm(root @ cy @ root)))
    assert gaussian(x, y) == pytest.approx(math.sqrt(square), rel=1e-6)
    white = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(cx)).T
    scale, shift = np.array([1.0, 2, 3, 4]), np.array([0.0, 1, 0, 2])
    assert gaussian(white, white * scale + shift) == pytest.approx(math.sqrt(sum((scale - 1) ** 2) + 5), rel=1e-9)
    few = normal(10, 50)  # fewer samples than coordinates
    assert gaussian(few, few * 3) == pytest.approx(
        math.sqrt(4 * few.mean(0) @ few.mean(0) + 4 * np.trace(np.cov(few.T))), rel=1e-9
    )


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_large_whole_numbers_are_as_float64_has_them(dtype: type) -> None:
    assert exact(np.array([2**60], dtype), np.array([2**60 + 2**20], dtype)) == 2**20


def test_sets_without_samples_or_without_numbers_are_told_apart() -> None:
    with pytest.raises(UsageError, match="there are 0 and 5 samples"):
        exact(np.zeros((0, 3)), np.ones((5, 3)))
    with pytest.raises(UsageError, match="no numbers in them"):
        exact(np.zeros((5, 0)), np.zeros((5, 0)))


@pytest.mark.parametrize(("d", "within"), [(4, 0.1), (50, 0.05), (600, 0.1)])
def test_what_moments_demand_is_that_of_the_distributions(d: int, within: float) -> None:
    """Copies 1.3 times as large and moved by 1: fewer samples than dimensions do not matter, nor the same ones."""
    x, y = normal(1000, d), 1.3 * normal(1000, d, 1) + 1 / math.sqrt(d)
    truth = math.sqrt(0.09 * d + 1)
    assert math.sqrt(gaussian_less_noise(x, y)) == pytest.approx(truth, rel=within)
    assert math.sqrt(gaussian_less_noise(x, 1.3 * x + 1 / math.sqrt(d))) == pytest.approx(truth, rel=within)
    assert gaussian(x[:500], y[:500]) > truth, "noise included"
    nothing = [gaussian_less_noise(normal(1000, d, 2 * k), normal(1000, d, 2 * k + 1)) for k in range(2, 8)]
    assert abs(np.mean(nothing)) < 4 * np.std(nothing) and max(map(abs, nothing)) < 0.1 * truth**2


def test_noise_in_every_sample_is_within_the_range_of_quadrature() -> None:
    """Samples in 8 of 64 dimensions, and others with noise of 0.5: at least 3.5 away, for 56 dimensions were empty."""
    turn = np.linalg.qr(normal(64, 64, 5))[0][:8]
    x, y = 3 * normal(800, 8) @ turn, 3 * normal(800, 8, 1) @ turn + 0.5 * normal(800, 64, 2)
    found = with_error_and_null(quadrature, x, y)
    assert found.most is not None and found.moments is not None
    assert found.value < 3.2 and 3.4 < found.moments < 4 < found.most


@pytest.mark.parametrize("method", [exact, w2, sinkhorn, quadrature, debiased])
def test_too_little_memory_is_told_before_it_is_taken(
    method: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 4_000)
    with pytest.raises(WganError, match=r"4.0 kB are free; take at most --samples \d+, or .*--method sliced") as caught:
        method(normal(100, 2), normal(99, 2))
    wanted = int(str(caught.value).split("--samples ")[1].split(",")[0])
    assert method(normal(wanted, 2), normal(wanted, 2, 1) + 1) > 0
    with pytest.raises(WganError, match="needs"):
        method(normal(math.ceil(1.3 * wanted), 2), normal(math.ceil(1.3 * wanted), 2, 1))
    assert sliced(normal(100, 2), normal(99, 2)) >= 0


@pytest.mark.parametrize(
    ("use", "cached", "free"), [(900, 300, 400), (900, 0, 100), (900, None, 100), (100, 300, 1000), (1200, 0, 0)]
)
def test_files_that_were_read_do_not_fill_a_container(
    use: int, cached: int | None, free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("memory.max", 1000), ("memory.current", use)):
        (tmp_path / name).write_text(f"{number}\n")
    if cached is not None:
        (tmp_path / "memory.stat").write_text(f"anon 7\nactive_file 70\ninactive_file {cached}\nfile 5\n")
    missing = ("nowhere", "limit", "use", "name")
    monkeypatch.setattr(memory, "_LIMITS", (missing, (tmp_path, *memory._LIMITS[0][1:])))
    assert free_memory() == free


def test_free_memory_is_that_of_this_machine() -> None:
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize(("d", "method"), [(1, line), (3, exact), (3, quadrature), (3, sliced)])
def test_the_standard_error_is_that_of_repeated_measurements(d: int, method: Callable[..., float]) -> None:
    """Of two far Gaussians, the distance is about the difference of the means, along the shift."""
    n = 300
    found = [with_error_and_null(method, normal(n, d, 2 * k), normal(n, d, 2 * k + 1) + 20) for k in range(4)]
    factor = 0.5 if method is sliced else 1.0  # E |cos| in space, where it is uniform
    lines = 20 * math.sqrt(d) * math.sqrt(1 / 12 / DIRECTIONS) if method is sliced else 0.0
    expected = math.hypot(factor * math.sqrt(2 / n), lines)
    assert np.mean([error for _, error, *_ in found if error is not None]) == pytest.approx(expected, rel=0.35)
    assert np.mean([value for value, *_ in found]) == pytest.approx(factor * 20 * math.sqrt(d), rel=0.08)


def test_quadrature_says_how_small_the_distance_may_be_where_few_samples_move_far() -> None:
    """A tenth of the samples moves by 10: W1 is at most 1, and no less, for that is what the means moved by."""
    x, y = normal(600, 50), normal(600, 50, 1)
    y[:60, 0] += 10
    found = with_error_and_null(quadrature, x, y)
    assert found.least is not None and found.least < 1 < found.value
    assert (found.least, found.value) == pytest.approx((debiased(x, y), quadrature(x, y)))
    assert found.standard_error is not None
    assert found.moments == pytest.approx(math.sqrt(gaussian_less_noise(x, y)))
    assert found.most == pytest.approx(across_and_within(x, y, 0)[0] + 1.645 * found.standard_error)
    assert with_error_and_null(exact, x, y).least is None and with_error_and_null(quadrature, x, x).least == 0


@pytest.mark.parametrize(
    ("method", "d", "shift"),
    [
        (line, 1, 0.0),
        *((method, 2, 0.2) for method in (exact, w2, debiased, gaussian, energy)),
        (sliced, 9, 1),
        (mmd, 2, 1),
    ],
)
def test_the_standard_error_is_right_near_what_sampling_alone_makes(
    method: Callable[..., float], d: int, shift: float
) -> None:
    """Disjoint tenths are all near the least that a distance can be: their spread is a third too small, or more."""
    first = np.eye(1, d)[0] * shift
    sets = [(normal(160, d, 2 * k), normal(160, d, 2 * k + 1) + first) for k in range(40)]
    values, errors = np.array([with_error_and_null(method, *pair)[:2] for pair in sets], np.float64).T
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std(ddof=1), rel=0.33)


def test_the_standard_error_of_sliced_has_the_choice_of_the_lines_in_it() -> None:
    x, y = normal(1000, 2), normal(1000, 2, 1) + np.array([5, 0])
    spread = 5 * math.sqrt(1 / 2 - (2 / math.pi) ** 2) / math.sqrt(DIRECTIONS)  # of |cos| of a uniform angle
    assert np.std([sliced(x[:100], y[:100], seed=seed) for seed in range(40)], ddof=1) == pytest.approx(spread, rel=0.3)
    expected = math.hypot(spread, math.sqrt(2 / 1000) * 2 / math.pi)
    assert with_error_and_null(sliced, x, y)[1] == pytest.approx(expected, rel=0.25)


def test_the_null_is_the_distance_of_two_halves() -> None:
    x, y = normal(200, 1), normal(100, 1, 1)
    one, other = halves(x, by_content(x, 7))
    assert with_error_and_null(line, x, y, seed=7)[2] == pytest.approx(wasserstein_distance(one[:, 0], other[:, 0]))
    assert with_error_and_null(line, x[:49], y)[1:3] == (None, None)


def test_the_null_has_no_more_samples_than_the_smaller_set() -> None:
    """W1 of n and m numbers of one distribution falls as the root of 1/n + 1/m."""
    found = [with_error_and_null(line, normal(4000, 1, 2 * k), normal(60, 1, 2 * k + 1)) for k in range(8)]
    values, nulls = (np.array([getattr(each, name) for each in found]) for name in ("value", "null"))
    assert null_size(4000, 60) == 60 and null_size(200, 150) == 100
    assert np.mean(nulls) == pytest.approx(np.mean(values) * math.sqrt(2), rel=0.3)
    of_first = normal(4000, 1)
    one, other = (half[:60] for half in halves(of_first, by_content(of_first, 0)))
    assert nulls[0] == pytest.approx(wasserstein_distance(one[:, 0], other[:, 0]))


def test_the_choice_says_why() -> None:
    assert choose(10**6, 10, 1)[0] == "line"
    assert choose(2000, 2000, 784)[0] == choose(10**6, 2000, 784)[0] == "quadrature"
    name, why = choose(10**5, 10**5, 784)
    assert name == "critic" and "minutes" in why
    assert affordable(2) > affordable(784) > affordable(12_288) > 1000


def test_sinkhorn_does_not_stop_before_samples_far_out_are_where_they_go() -> None:
    draw = np.random.default_rng(0)
    x, y = np.r_[draw.normal(size=58), 1000, 1001][:, None], np.r_[draw.normal(size=59), 1000.5][:, None]
    cost = cdist(x, y)
    smoothing = SMOOTHING * cost.mean()
    masses = np.full(60, 1 / 60)
    plan = ot.sinkhorn(masses, masses, cost, smoothing, method="sinkhorn_log", numItermax=10**5)
    expected = (plan * cost).sum() + smoothing * (plan * np.log(np.maximum(plan * 3600, 1e-300))).sum()
    assert entropic_cost(cost, smoothing) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("few", "way"), [((50, 51), 50.0), ((3, 120), 10.0)])
def test_sinkhorn_settles_where_groups_far_apart_have_other_masses(few: tuple[int, int], way: float) -> None:
    """Of two places the plan has one number, which goes from its least to its most."""
    x, y = np.r_[np.zeros(50), np.full(50, way)][:, None], np.r_[np.zeros(few[0]), np.full(few[1], way)][:, None]
    cost, smoothing = cdist(x, y), SMOOTHING * cdist(x, y).mean()
    p = few[0] / sum(few)

    def value(stays: float) -> float:
        plan = np.array([stays, 0.5 - stays, p - stays, 0.5 - p + stays])
        product = np.array([p / 2, (1 - p) / 2, p / 2, (1 - p) / 2])
        return float(way * (plan[1] + plan[2]) + smoothing * (xlogy(plan, plan) - xlogy(plan, product)).sum())

    ends = max(0.0, p - 0.5), min(0.5, p)
    expected = minimize_scalar(value, bounds=ends, method="bounded", options={"xatol": 1e-14}).fun
    assert entropic_cost(cost, smoothing) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", [exact, quadrature, sliced, energy])
def test_halves_whose_samples_nearly_coincide_cost_no_answer(method: Callable[..., float]) -> None:
    """As probabilities do that are 0 but for rounding, beside one that is not."""
    x, y = (np.exp(np.random.default_rng(seed).uniform(-600, -380, (200, 1))) for seed in range(2))
    y[7] = 0.3
    found = with_error_and_null(method, x, y)
    assert found.value > 0 and found.null == pytest.approx(0, abs=1e-12) and found.standard_error is not None


def test_sinkhorn_smooths_by_a_tenth_of_the_mean_distance() -> None:
    x, y = normal(12, 2), normal(15, 2) * 2 + 1
    eps = 0.1 * cdist(x, y).mean()
    cost = [entropic_cost(cdist(a, b), eps) for a, b in ((x, y), (x, x), (y, y))]
    assert sinkhorn(x, y) == pytest.approx(cost[0] - cost[1] / 2 - cost[2] / 2, rel=1e-9)
