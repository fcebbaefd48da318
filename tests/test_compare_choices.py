"""Which samples of two sets are compared, by which seed, and what is said of the answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wgan
from toolbox import blobs, small_run
from wgan.compare import SECONDS, affordable, choose
from wgan.config import DataConfig
from wgan.distances.estimate import expected_seconds
from wgan.distances.line import sliced
from wgan.distances.result import Estimate
from wgan.errors import UsageError, WganError
from wgan.measure import W1, measure
from wgan.measure.sides import FEWEST_SAMPLES
from wgan.sets import _check_shape


def test_pictures_that_are_wider_than_high_are_brought_to_those_of_a(tmp_path: Path) -> None:
    a = np.random.default_rng(0).integers(0, 256, (30, 4, 8), dtype=np.uint8)
    for number, image in enumerate(np.kron(a, np.ones((1, 2, 2), np.uint8))):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    found = wgan.distance(a, tmp_path, method="exact")
    assert isinstance(found, Estimate) and (found.dim, found.m) == (32, 30)
    assert found.value < wgan.distance(a, 255 - a, method="exact").value / 5


def test_bytes_beside_a_run_of_other_numbers_are_brought_to_its_shape(tmp_path: Path) -> None:
    """Its range is none of theirs, but its size is."""
    run = small_run(tmp_path / "r", 100 * np.random.default_rng(0).random((60, 8, 8)), steps=1, value_range=(0, 100))
    found = wgan.distance(run, np.kron(blobs(30), np.ones((1, 2, 2, 1), np.uint8)), method="exact")
    assert isinstance(found, Estimate) and (found.dim, found.m) == (64, 30)


def test_channels_are_none_of_a_generator_of_vectors() -> None:
    with pytest.raises(UsageError, match="--channels: the generator makes vectors of 3 numbers"):
        _check_shape((3,), DataConfig(channels=3))


def test_a_name_is_that_of_a_data_set_even_if_there_is_a_run_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ring").mkdir()
    Path("ring", "config.toml").touch()
    assert wgan.distance("ring", np.zeros((60, 2)), method="exact").value == pytest.approx(np.sqrt(2), abs=0.05)
    with pytest.raises(WganError, match="does not exist; training writes it"):
        wgan.distance("./ring", np.zeros((60, 2)), method="exact")


def test_the_seed_reaches_the_method() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 100, 3))
    found = [wgan.distance(x, y + 1, method="sliced", seed=seed).value for seed in (0, 3)]
    assert found == [sliced(x, y + 1, seed=0), sliced(x, y + 1, seed=3)] and found[0] != found[1]


def test_the_seed_reaches_the_critic() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 240, 2))
    found = [wgan.distance(x, y + 1, method="critic", steps=1, seed=seed) for seed in (0, 3)]
    assert all(isinstance(each, W1) for each in found)
    assert found[0].value != found[1].value == measure(x, y + 1, steps=1, seed=3).wasserstein


def test_as_many_are_drawn_of_endless_sets_as_transport_can_afford(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.compare.affordable", lambda dim: 70)
    monkeypatch.setattr("wgan.compare.DRAWN", 90)
    found = wgan.distance("ring", "ring")
    assert isinstance(found, Estimate) and (found.n, found.m, found.method) == (70, 70, "quadrature")
    assert wgan.distance("ring", "ring", method="energy").n == 90


def test_each_side_gives_what_it_has_up_to_so_many() -> None:
    x = np.random.default_rng(0).normal(size=(90, 2))
    for sizes, samples, expected in (((90, 60), None, (90, 60)), ((90, 60), 70, (70, 60)), ((60, 90), 70, (60, 70))):
        found = wgan.distance(x[: sizes[0]], x[: sizes[1]] + 1, method="exact", samples=samples)
        assert isinstance(found, Estimate) and (found.n, found.m) == expected
    for sides, samples, expected in ((("ring", x), 40, (40, 40)), ((x, "ring"), None, (90, 90))):
        found = wgan.distance(*sides, method="exact", samples=samples)
        assert isinstance(found, Estimate) and (found.n, found.m) == expected


@pytest.mark.parametrize("form", ["array", "tensor", "column", "list", "file"])
def test_probabilities_are_not_taken_for_samples_unawares(form: str, tmp_path: Path) -> None:
    """A vector and its permutation would be at 0."""
    p = np.random.default_rng(0).dirichlet(np.ones(30))
    sides: list[Any] = [p, p[::-1]]
    for number, side in enumerate(sides):
        np.save(tmp_path / f"{number}.npy", side.astype(np.float32))
        forms = {
            "array": side,
            "tensor": torch.from_numpy(side.copy()),
            "column": side[:, None],
            "list": side.tolist(),
            "file": tmp_path / f"{number}.npy",
        }
        sides[number] = forms[form]
    words = (
        r"^both sides are numbers that sum to 1, as .*: say --histograms .*, or --method line if they are samples\.$"
    )
    with pytest.raises(UsageError, match=words):
        wgan.distance(*sides)
    found = wgan.distance(*sides, method="line")
    assert isinstance(found, Estimate) and (found.value, found.n) == (pytest.approx(0, abs=1e-9), 30)
    with pytest.raises(UsageError, match="sum to 1"):  # a label and its forecast
        wgan.distance(np.eye(30)[3], sides[1])
    for other in (np.linspace(0, 1, 30), np.linspace(-1, 1, 30) + 1 / 30, p * (1 + 2e-5), np.ones(1), p * 1e100):
        assert wgan.distance(sides[0], other).method == wgan.distance(other, sides[0]).method == "line"
    assert wgan.distance(np.eye(30)[3], np.eye(30)[4]).value == 0, "whole numbers may be samples"


@pytest.mark.parametrize("method", ["tv", "kl", "js", "emd", "total-variation", "Total_Variation"])
def test_distances_of_histograms_are_no_methods_but_their_place_is_told(method: str) -> None:
    with pytest.raises(UsageError, match=r"unknown method.*Known: auto.* It is one of histograms: --histograms"):
        wgan.distance(np.zeros(3), np.ones(3), method=method)


def test_samples_of_arrays_are_chosen_at_random_and_by_the_seed() -> None:
    """Sorted numbers, of which the first ones would be far off."""
    x = np.linspace(0, 1, 2000)
    found = [wgan.distance(x, x, samples=400, method="gaussian", seed=seed) for seed in (0, 1)]
    far = wgan.distance(np.sort(x)[:400], x, method="gaussian").value
    of_mean = [wgan.distance(x, np.zeros(2000), samples=400, seed=seed).value for seed in (0, 0, 1)]
    assert max(each.value for each in found) < far / 5
    assert of_mean[0] == of_mean[1] != of_mean[2]
    assert np.mean(of_mean) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / 400))


def test_what_lies_below_0_by_chance_is_said_to_be_0() -> None:
    found = Estimate(0.3, 0.2, -0.1, 0.6, 0.2, 0.1, 50, "quadrature", 100, 100, 2, "units", 1.0, "asked for.")
    (line,) = (line for line in str(found).splitlines() if line.startswith("range"))
    assert line.startswith("range     0 to 0.6: ")
    x, y = np.random.default_rng(0).normal(size=(2, 240, 2))
    trained = measure(x, y + 1, steps=1)
    said = {
        train: str(replace(trained, lower_bound=-0.25, gap=gap, train=train))
        for gap, train in ((0.5, 0.25), (-0.5, 0.75))
    }
    assert all("at least  0, certified" in text for text in said.values())
    assert "overfit   0.25 of 0.25" in said[0.25] and "overfit   0 of 0.75" in said[0.75]


def test_what_moments_demand_is_said_where_it_is_more_than_the_distance_and_its_error() -> None:
    said = [
        str(Estimate(value, 0.1, 0.5, 3.0, moments, null, 50, "quadrature", 100, 100, 2, "units", 1.0, "asked for."))
        for value, moments, null in ((1.0, 1.5, 0.4), (1.0, 1.1, -0.4), (1.0, 0.5, 0.4), (-1.0, 0.1, 0.4))
    ]
    assert ["\nmoments" in text for text in said] == [True, False, False, False]
    assert "\nmoments   1.5: what means and covariances imply" in said[0]
    assert "null      0.4 (" in said[0] and "null      -0.4 (" in said[1]


def test_a_time_or_steps_choose_critics_and_suit_no_other_method() -> None:
    x = np.random.default_rng(0).normal(size=(240, 2))
    found = wgan.distance(x, x + 1, steps=1)
    assert isinstance(found, W1) and found.method == "critic" and "number of steps to train" in found.why
    with pytest.raises(UsageError, match="--time and --steps are for --method critic, and this is exact; leave"):
        wgan.distance("neither", "is read", method="exact", time="5s")


@pytest.mark.parametrize("dim", [2, 64, 784, 12_288])
def test_transport_is_chosen_for_as_many_samples_as_take_less_than_its_time(dim: int) -> None:
    n = affordable(dim)
    assert expected_seconds(n, dim) <= SECONDS
    assert choose(n, n, dim)[0] == "quadrature" and choose(2 * n, 2 * n, dim)[0] == "critic"


def test_critics_are_not_chosen_for_fewer_samples_than_they_take() -> None:
    dim = 6_000_000
    assert affordable(dim) < FEWEST_SAMPLES
    assert choose(FEWEST_SAMPLES - 1, 10**6, dim)[0] == "quadrature"
    assert choose(FEWEST_SAMPLES, FEWEST_SAMPLES, dim)[0] == "critic"
