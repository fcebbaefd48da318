"""Two sets from anywhere: the right samples in the right units, one shape, and clear sentences."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import wasserstein_distance

import wgan
from toolbox import SMALL, blobs, plain, small_run
from wgan.config import DataConfig
from wgan.distances import memory
from wgan.distances.result import Estimate
from wgan.errors import UsageError, WganError
from wgan.measure import W1
from wgan.registry import DISTANCES
from wgan.run import Run
from wgan.sets import _as_read

pytestmark = pytest.mark.usefixtures("empty_drawings")

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(told: Told) -> Told:
    """As everywhere, in a folder with data."""
    np.save("blobs.npy", blobs(80))
    np.save("lighter.npy", blobs(80) // 2 + 51)
    np.save("darker.npy", blobs(80) // 2)
    np.save("points.npy", np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32))
    return told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return wgan.train(blobs(), out=tmp_path_factory.mktemp("run") / "r", quiet=True, **{**SMALL, "steps": 2})


@pytest.mark.parametrize("option", ["critic_lr", "kimg", "flip", "data", "siez"])
def test_options_that_do_nothing_to_a_distance_are_unknown(option: str) -> None:
    with pytest.raises(UsageError, match=f"unknown option '{option}'.* Known: size, channels, fit, value_range, held_"):
        wgan.distance(blobs(60), blobs(60), **{option: 1})


def pngs(folder: Path, images: Any) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{number}.png")
    return folder


def test_vectors_are_compared_in_their_own_units(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(90, 3)) * [1, 100, 0.01]
    shift = np.array([3.0, -40.0, 0.5])
    assert wgan.distance(x, x + shift, method="exact").value == pytest.approx(np.linalg.norm(shift), rel=1e-9)
    for name, array in (("x.npy", x), ("y.npy", x + shift)):
        np.save(tmp_path / name, array.astype(np.float32))
    found = wgan.distance(tmp_path / "x.npy", tmp_path / "y.npy", method="exact")
    assert found.value == pytest.approx(np.linalg.norm(shift), rel=1e-5)
    assert (found.n, found.m, found.dim) == (90, 90, 3) and "own units" in found.units


def test_single_numbers_are_samples_wherever_they_are(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 300))
    for name, array in (("x.npy", x), ("y.npy", y[:200])):
        np.save(tmp_path / name, array)
    for a, b in ((x, y[:200]), (tmp_path / "x.npy", tmp_path / "y.npy"), (x, tmp_path / "y.npy")):
        found = wgan.distance(a, b)
        assert (found.method, found.dim, found.n, found.m) == ("line", 1, 300, 200)
        assert found.value == pytest.approx(wasserstein_distance(x, y[:200]), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_vectors_from_files_keep_every_digit(tmp_path: Path, shift: float) -> None:
    """Float32 steps by 8 at 1e8; and samples in both sets are only seen to be the same if no digit changes."""
    x = np.random.default_rng(0).normal(size=(400, 3)) + shift
    for name, array in (("all.npy", x), ("half.npy", x[:200]), ("moved.npy", x + 1)):
        np.save(tmp_path / name, array)
    found = wgan.distance(tmp_path / "all.npy", tmp_path / "moved.npy", method="exact")
    assert found.value == pytest.approx(math.sqrt(3), rel=1e-6)
    found = wgan.distance(tmp_path / "all.npy", tmp_path / "half.npy", method="debiased")
    assert found.value == pytest.approx(wgan.distance(x, x[:200], method="debiased").value, rel=1e-9)


def test_a_split_and_options_hold_for_arrays_too(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.save(tmp_path / "x.npy", x)
    for split in ("train", "held-out"):
        by_file = wgan.distance(tmp_path / "x.npy", x + 1, method="exact", split=split)
        by_array = wgan.distance(x, x + 1, method="exact", split=split)
        assert (by_array.n, by_array.value) == (by_file.n, by_file.value) and by_array.n < 100
        assert wgan.distance(x[:, 0], x[:, 1], split=split).n < 100
    for option, value in {"size": 8, "channels": 3, "value_range": (0, 1)}.items():
        with pytest.raises(UsageError, match=f"^--{option.replace('_', '-')} is for pictures, but array has vectors"):
            wgan.distance(x, x, **{option: value})


def test_equal_samples_are_not_counted_twice(tmp_path: Path) -> None:
    np.save(tmp_path / "zeros.npy", np.zeros((30, 2)))
    assert wgan.distance(tmp_path / "zeros.npy", np.ones((30, 2)), method="exact").n == 30


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (1.5, 1.6), (1.0, -1.0), (1.5, None)])
def test_pictures_of_numbers_must_be_on_one_scale(a: float, b: float | None) -> None:
    """Each would have its own extremes as black and white, and differ less than they do, or not at all."""
    x = np.random.default_rng(0).random((60, 8, 8))
    other = blobs(60) if b is None else b * x
    with pytest.raises(UsageError, match=r"A's from 0.* to 1.*scale them to 0 to 1 first") as error:
        wgan.distance(a * x, other, method="exact")
    assert ("B's" in str(error.value)) == ("--value-range" in str(error.value)) == (b is not None)
    if b is not None:
        found = wgan.distance(a * x, other, method="exact", value_range=(-2, 2))
        far = wgan.distance((a * x / 4 + 0.5).reshape(60, -1), (b * x / 4 + 0.5).reshape(60, -1), method="exact")
        assert found.value == pytest.approx(far.value, rel=0.02)


def test_numbers_from_0_to_1_or_from_minus_1_go_with_bytes() -> None:
    bytes_ = blobs(60)
    for numbers in (bytes_ / 255, bytes_ / 127.5 - 1, bytes_.astype(np.int64)):
        for others in (bytes_, bytes_.astype(np.int64)):
            assert wgan.distance(numbers, others, method="exact").value == pytest.approx(0, abs=1e-9)


def test_a_generator_has_the_scale_of_its_data(run: Run) -> None:
    found = wgan.distance(run, blobs() * 3.0 - 300, method="exact")
    assert found.value == pytest.approx(wgan.distance(run, blobs(), method="exact").value, rel=0.02)


def test_pictures_are_compared_pixel_by_pixel_from_0_to_1(told: Told, tmp_path: Path) -> None:
    for a, b in (("darker.npy", "lighter.npy"), (np.load("darker.npy"), torch.from_numpy(np.load("lighter.npy")))):
        found = wgan.distance(a, b, method="exact")
        assert found.value == pytest.approx(51 / 255 * math.sqrt(64), rel=1e-9)
        assert (found.n, found.m, found.dim) == (80, 80, 64) and "8x8" in found.units and "0 to 1" in found.units
    folder = pngs(tmp_path / "folder", np.load("darker.npy"))
    assert wgan.distance(folder, "darker.npy", method="exact").value == pytest.approx(0, abs=1e-9)


def test_numbers_are_sorted() -> None:
    x, y = np.random.default_rng(0).normal(size=100), np.random.default_rng(1).exponential(size=70)
    found = wgan.distance(x, torch.from_numpy(y))
    assert found.value == pytest.approx(wasserstein_distance(x, y)) and found.method == "line"
    assert (found.n, found.m, found.dim, found.null_n) == (100, 70, 1, 50)
    assert wgan.distance(x, y[:50]).null_n == 50 and wgan.distance(np.tile(x, 9), y).null_n == 70


@pytest.mark.parametrize("method", ["auto", *DISTANCES])
def test_every_method_gives_every_field(method: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 1 if method == "line" else 2))
    found = wgan.distance(x, x + 4, method=method)
    assert isinstance(found, Estimate) and found.value > 0.1
    assert found.standard_error is not None and 0 <= found.standard_error < found.value
    assert found.null is not None and found.null < found.value
    assert (
        found.why
        and found.units
        and found.seconds > 0
        and found.method == ("quadrature" if method == "auto" else method)
    )
    assert json.loads(json.dumps(found.to_json(), allow_nan=False)).keys() == {f.name for f in fields(Estimate)}


def test_too_few_samples_have_no_error() -> None:
    found = wgan.distance(np.zeros((3, 2)), np.ones((3, 2)), method="exact")
    assert (found.standard_error, found.null, found.null_n) == (None, None, None)
    assert found.value == pytest.approx(math.sqrt(2))


def test_a_run_is_its_generator(run: Run) -> None:
    found = wgan.distance(run.folder, blobs(), method="exact", seed=3)
    drawn = run.generator.sample(64, seed=6)
    assert found.value == pytest.approx(wgan.distance(drawn, blobs(), method="exact").value, rel=1e-9)
    for same in (run, run.generator, str(run.folder / "generator.safetensors")):
        assert wgan.distance(same, blobs(), method="exact", seed=3).value == found.value
    assert wgan.distance(run, blobs(), samples=20).n == 20
    itself = wgan.distance(run, run, method="exact", samples=50)
    assert itself.value > 0 and (itself.n, itself.m) == (50, 50)  # two draws


def test_what_has_no_end_is_drawn_afresh_for_each_side() -> None:
    found = wgan.distance("ring", "ring", method="exact", samples=200)
    assert (found.n, found.m) == (200, 200) and 0 < found.value < 1
    assert wgan.distance("ring", np.zeros((70, 2)), method="exact").n == 70
    for changed in ({"split": "held-out"}, {"seed": 1}):
        assert wgan.distance("ring", "ring", method="exact", samples=200, **changed).value != found.value


def test_pictures_of_b_are_brought_to_those_of_a(run: Run, tmp_path: Path) -> None:
    large = pngs(tmp_path / "large", np.kron(blobs(30), np.ones((1, 2, 2, 1), np.uint8)))
    assert wgan.distance(blobs(), large).dim == wgan.distance(large, run).dim == 64
    assert wgan.distance(large, blobs()).dim == 256
    assert wgan.distance(large, blobs(), size=4, channels=3).dim == 48


def test_samples_and_split_choose(told: Told) -> None:
    parts = {s: wgan.distance("blobs.npy", "blobs.npy", method="exact", split=s) for s in ("all", "train", "held-out")}
    assert parts["all"].n == 80 == parts["train"].n + parts["held-out"].n > parts["train"].n > parts["held-out"].n > 0
    few = [wgan.distance("blobs.npy", "lighter.npy", method="exact", samples=20, seed=s) for s in (0, 0, 1)]
    assert few[0].n == few[0].m == 20 and few[0].value == few[1].value != few[2].value


def test_the_command_answers_in_text_and_json(told: Told, run: Run) -> None:
    code, out, err = told("darker.npy", "lighter.npy", "--method", "exact")
    assert code == 0 and out.startswith("distance  1.6 ± ") and "reading" not in out
    assert all(
        word in out for word in ("two disjoint parts of A", "40 each", "80 of A and 80 of B", "pixels", "seconds")
    )
    code, out, err = told("darker.npy", "lighter.npy", "--json")
    answer = json.loads(out)
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert answer["method"] == "quadrature" and answer["n"] == 80 and "affordable" in answer["why"]
    assert json.loads(told(run.folder, "blobs.npy", "--json", "--samples", 30)[1])["n"] == 30
    np.save("few.npy", blobs(50) // 2)
    for method in ("auto", "quadrature", "debiased"):  # which use as many of the larger set as the smaller has
        answer = json.loads(told("darker.npy", "few.npy", "--json", "--method", method)[1])
        assert answer["n"] == answer["m"] == 50 and answer["null"] is not None
    np.save("few.npy", blobs(6))
    code, out, _ = told("few.npy", "few.npy", "--method", "exact")
    assert code == 0 and "too few samples" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["blobs.npy", "points.npy"], 2, ["grey pictures of 8x8", "vectors of 3 numbers"]),
        (["points.npy", "blobs.npy"], 2, ["grey pictures of 8x8", "vectors of 3 numbers"]),
        (["ring", "points.npy"], 2, ["vectors of 2 numbers", "vectors of 3 numbers"]),
        (["blobs.npy", "nothing"], 2, ["nothing", "digits"]),
        (["no/run", "blobs.npy"], 2, ["no/run"]),
        (["no.safetensors", "blobs.npy"], 1, ["no.safetensors"]),
        (["blobs.npy"], 2, ["B"]),
        (["blobs.npy", "blobs.npy", "--method", "exat"], 2, ["--method", "exact", "auto", *DISTANCES]),
        (["blobs.npy", "blobs.npy", "--method", "line"], 2, ["line", "64"]),
        (["blobs.npy", "blobs.npy", "--samples", "1"], 2, ["--samples: 1 is too small", "at least 2"]),
        (["blobs.npy", "blobs.npy", "--seed", "-1"], 2, ["--seed: -1 is too small", "at least 0"]),
        (["blobs.npy", "blobs.npy", "--split", "test"], 2, ["--split", "held-out"]),
        (["points.npy", "points.npy", "--size", "8"], 2, ["size", "pictures"]),
        (["blobs.npy", "blobs.npy", "--held-out", "0.5"], 2, ["--held-out", "--split"]),
        (["points.npy", "points.npy", "--method", "critic"], 2, ["60", "200"]),
        (["points.npy", "points.npy", "--time", "5s", "--method", "mmd"], 2, ["--time", "--method critic", "mmd"]),
        (["points.npy", "points.npy", "--method", "critic", "--time", "soon"], 2, ["--time", "90s"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_clear_line(arguments: list[str], code: int, words: list[str], told: Told) -> None:
    found, out, err = told(*arguments)
    lines = [line for line in err.splitlines() if line.startswith("wgan: ")]
    assert (found, out, len(lines)) == (code, "", 1) and "Traceback" not in err
    assert [word for word in words if word not in lines[0]] == []


def test_a_wrong_split_or_too_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        wgan.distance(blobs(), blobs(), split="tran")
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    with pytest.raises(WganError, match="--samples"):
        wgan.distance(blobs(), blobs(), method="sliced")


def test_critics_are_trained_where_they_are_asked_for(told: Told) -> None:
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.normal(size=(400, 3)).astype(np.float32))
    np.save("y.npy", (rng.normal(size=(400, 3)) + 2).astype(np.float32))
    code, out, _ = told("x.npy", "y.npy", "--method", "critic", "--steps", 30, "--null", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["method"] == "critic" and (answer["n"], answer["m"], answer["dim"]) == (400, 400, 3)
    assert answer["value"] == answer["wasserstein"] == pytest.approx(math.sqrt(12), rel=0.3) and answer["null"] < 1
    assert answer["lower_bound"] <= math.sqrt(12) <= answer["interval"][1]
    code, out, _ = told("x.npy", "y.npy", "--method", "critic", "--time", "1s")
    assert code == 0
    for word in ("distance", "interval", "at least", "certified", "evidence", "overfit", "own units"):
        assert word in out


def test_samplers_and_pictures_can_be_measured_by_critics(few_draws: None) -> None:
    drawn = wgan.distance(
        lambda n, draw: torch.rand(n, 2, generator=draw), lambda n, draw: torch.rand(n, 2, generator=draw) + 1, steps=3
    )
    assert drawn.value == pytest.approx(math.sqrt(2), rel=0.3)
    assert "drawn without end" in str(drawn) and "only critics can use" in drawn.why
    with pytest.raises(UsageError, match='method="critic"'):
        wgan.distance(torch.rand, torch.rand, method="exact")
    pictures = wgan.distance(blobs(400) // 2, blobs(400) // 2 + 51, method="critic", steps=3)
    assert pictures.value == pytest.approx(51 / 255 * 8, rel=0.3) and "pixels from 0 to 1" in pictures.units


class Drawn:
    """A sampler that is no function: uniform in a square of this size."""

    def __init__(self, side: float) -> None:
        self.side = side

    def __call__(self, n: int, draw: torch.Generator) -> torch.Tensor:
        return torch.rand(n, 2, generator=draw) * self.side


class Rows:
    """A data set that can be called too."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.arange(3.0) + index

    def __call__(self) -> None:
        raise AssertionError


def test_any_callable_that_is_no_data_set_is_a_sampler(few_draws: None, run: Run) -> None:
    for a, b in ((Drawn(1.0), Drawn(1.0)), (Drawn(1.0), Drawn(1.0).__call__), (Drawn(1.0), partial(Drawn(1.0)))):
        with pytest.raises(UsageError, match='functions that draw samples are for method="critic"'):
            wgan.distance(a, b, method="exact")
    with pytest.raises(UsageError, match="and take no number of samples, no split and no options of data"):
        wgan.distance(Drawn(1.0), Drawn(1.0), split="held-out")
    drawn = wgan.distance(Drawn(1.0), Drawn(1e4), steps=1)
    from_a_corner = (math.sqrt(2) + math.asinh(1)) / 3 * 1e4  # the mean distance in the larger square
    assert isinstance(drawn, W1) and drawn.n is None and drawn.value == pytest.approx(from_a_corner, rel=0.1)
    assert wgan.distance(Rows(), Rows(), method="exact").value == 0
    for no_sampler in (torch.nn.Linear(2, 2), int):
        with pytest.raises(UsageError, match="data is of type"):
            wgan.distance(no_sampler, no_sampler)
    assert wgan.distance(run.generator, run.generator, method="sliced", samples=60).value < 1


def test_pictures_that_were_made_from_others_are_compared_with_them_in_their_order(tmp_path: Path) -> None:
    """Of a data set and itself made lighter, the distance is known; each holds out other pictures of its own."""
    draw = np.random.default_rng(0)
    plain = draw.integers(0, 200, (240, 6, 6), np.uint8)
    for name, images in (("plain", plain), ("lighter", plain + 10)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number:03}.png")
    found = wgan.distance(tmp_path / "plain", tmp_path / "lighter")
    assert isinstance(found, Estimate) and found.standard_error is not None
    assert found.value == pytest.approx(6 * 10 / 255, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "critic", "time": 5}, "time is 5, but it must be text, such as '90s'"),
        ({"method": "critic", "steps": "5"}, "steps: '5' is not a whole number"),
        ({"samples": 10.0}, "samples: 10.0 is not a whole number"),
        ({"seed": None}, "seed: None is not a whole number"),
        ({"split": None}, "split is None"),
    ],
)
def test_values_of_another_kind_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wgan.distance(np.zeros((60, 2)), np.ones((60, 2)), **changes)


def test_samplers_may_give_any_array_and_nothing_else(few_draws: None) -> None:
    def backwards(n: int, rng: torch.Generator) -> Any:
        return torch.randn(n, 2, generator=rng).numpy()[::-1]

    def nothing(n: int, rng: torch.Generator) -> Any:
        return None

    assert isinstance(wgan.distance(backwards, backwards, steps=2), W1)
    with pytest.raises(UsageError, match="a sampler's samples are"):
        wgan.distance(nothing, nothing, steps=2)
    with pytest.raises(UsageError, match=r"called as draw\(n, rng\), and this one does not take that \(too many"):
        wgan.distance(lambda n: torch.rand(n, 2), backwards, steps=2)

    @wraps(len)
    def wrapped(n: int, rng: torch.Generator) -> Any:
        return backwards(n, rng)

    assert isinstance(wgan.distance(wrapped, wrapped, steps=1), W1)


def test_integers_of_numpy_are_integers() -> None:
    x, y = np.zeros((60, 2)), np.ones((60, 2))
    found = wgan.distance(x, y, method="exact", samples=np.int64(50), seed=np.int64(1))
    assert isinstance(found, Estimate) and found.n == 50 and json.dumps(found.to_json())


def test_parts_of_two_sources_are_both_there() -> None:
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    both = replace(wgan.open_data(x), train=plain(x[:200]), held_out=plain(x[200:] + 100))
    found = wgan.distance(both, x, method="exact")
    assert isinstance(found, Estimate) and found.n == 300
    assert found.value == pytest.approx(100 * math.sqrt(3) / 3, rel=0.02)


def test_a_run_is_found_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told("blobs.npy", "blobs.npy")
    run = wgan.train("blobs.npy", out="~/r", quiet=True, **SMALL | {"steps": 2})
    assert run.folder == tmp_path / "r"
    found = wgan.distance("~/r", "blobs.npy", method="energy")
    assert isinstance(found, Estimate) and found.n == found.m == 80


def test_digits_go_as_far_as_an_error_that_is_one() -> None:
    a = np.random.default_rng(0).normal(size=(200, 3))
    assert str(wgan.distance(a, a + 1.1, method="exact")).startswith("distance  1.91 ± ")
    far = str(wgan.distance(a + 1e9, a + 2e9, method="exact"))
    assert re.match(r"distance  1,732,050,80[78]\.\d+ ± 0\.0", far)


def test_a_distance_below_0_is_explained() -> None:
    found = Estimate(-0.5, 0.2, None, None, None, 0.1, 50, "quadrature", 100, 100, 2, "units", 1.0, "asked for.")
    assert "-0.5 ± 0.2: below 0, so it cannot be told from noise" in str(found)
    assert "-5 ± 0.2: below 0, by more than noise: samples of one side are" in str(replace(found, value=-5.0))


def test_data_beside_a_run_are_read_as_the_run_read_them(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (60, 8, 16), dtype=np.uint8)
    np.save(tmp_path / "wide.npy", wide)
    run = small_run(tmp_path / "r", str(tmp_path / "wide.npy"), steps=1, size=8, fit="stretch")
    found, given = (wgan.distance(run, tmp_path / "wide.npy", **options) for options in ({}, {"fit": "stretch"}))
    assert isinstance(found, Estimate) and isinstance(given, Estimate)
    assert found.value == given.value != wgan.distance(run, tmp_path / "wide.npy", fit="pad").value
    cropped = wgan.distance(small_run(tmp_path / "c", str(tmp_path / "wide.npy"), steps=1, size=8).generator, wide)
    assert wgan.distance(run, tmp_path / "wide.npy", fit="crop").value != found.value, "the usual one, but given"
    assert wgan.distance(run.generator, wide, fit="crop").value == wgan.distance(run, wide, fit="crop").value
    assert cropped.m == 60
    few = small_run(tmp_path / "few", steps=1, held_out=30)
    assert wgan.distance(few, tmp_path / "wide.npy", split="held-out").m == 30
    assert wgan.distance(few, tmp_path / "wide.npy", split="held-out", held_out=0.1).m == 6
    assert wgan.distance(few, tmp_path / "wide.npy").m == 60
    for options, words in (
        ({"size": 9}, "--size: the generator makes grey pictures of 8x8"),
        ({"channels": 3}, "--chan"),
    ):
        for sides in ((run, wide), (wide, run)):
            with pytest.raises(UsageError, match=words):
                wgan.distance(*sides, **options)
    assert wgan.distance(run, wide, size=8, channels=1).value == found.value


def test_samples_in_another_order_are_told_from_noise() -> None:
    a = np.random.default_rng(0).normal(size=(400, 64))
    assert "below 0, by more than noise" in str(wgan.distance(a, a[:399] + 0.5))


def test_what_is_beside_a_run_has_its_range_and_its_fit_unless_others_are_given() -> None:
    read = DataConfig(fit="pad", value_range=(0.0, 100.0), held_out=7)
    plain = DataConfig()
    assert _as_read(read, plain, {}, "all") == replace(plain, fit="pad", value_range=(0.0, 100.0))
    assert _as_read(read, plain, {}, "train") == replace(plain, fit="pad", value_range=(0.0, 100.0), held_out=7)
    given = replace(plain, value_range=(-1.0, 1.0))
    assert _as_read(read, given, {"value_range": (-1.0, 1.0)}, "all") == replace(given, fit="pad")
