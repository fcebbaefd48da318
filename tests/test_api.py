"""The Python contract: train, load, sample, and anything that has items."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import wgan
from toolbox import SMALL, blobs, small_run
from wgan.cli import main
from wgan.errors import UsageError, WganError
from wgan.loop.facts import OBJECT
from wgan.networks import Latent, dcgan, make_generator
from wgan.run import Run

pytestmark = pytest.mark.usefixtures("empty_drawings")


class Items:
    """What a torchvision data set looks like: (picture, label) pairs."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index >= 40:
            raise IndexError
        return torch.from_numpy(blobs(40)[index]).permute(2, 0, 1) / 255, index % 10


@pytest.mark.parametrize("data", [blobs(40), torch.from_numpy(blobs(40)), Items()], ids=["array", "tensor", "items"])
def test_train_load_and_sample(data: object, tmp_path: Path) -> None:
    run = wgan.train(data, out=tmp_path / "r", quiet=True, **{**SMALL, "steps": 3})
    images = run.generator.sample(6, seed=0)
    assert images.dtype == np.uint8 and images.shape == (6, 8, 8, 1)
    assert np.array_equal(wgan.load(tmp_path / "r").sample(6), images)
    assert np.array_equal(wgan.load(tmp_path / "r" / "generator.safetensors").sample(6), images)
    z = torch.randn(4, 8)
    assert run.generator(z).shape == (4, 1, 8, 8)
    assert wgan.resume(tmp_path / "r", data, steps=5, quiet=True).summary["steps"] == 5


class Place:
    """A path that is neither text nor of pathlib."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_a_run_and_any_path_are_taken_wherever_one_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", blobs())
    options = {**SMALL, "steps": 2}
    run = wgan.train(Place(tmp_path / "a.npy"), out=Place(tmp_path / "r"), quiet=True, **options)
    assert run.config.data.data == str(tmp_path / "a.npy") and run.folder == tmp_path / "r"
    images = run.generator.sample(3)
    assert Run.open(run) is run and Run.open(Place(run.folder)).folder == run.folder
    for named in (run, Place(run.folder), Place(run.folder / "generator.safetensors")):
        assert np.array_equal(wgan.load(named).sample(3), images)
    for number, named in enumerate((run, Place(run.folder))):
        begun = wgan.train(init_from=named, config=run.config_file, out=tmp_path / str(number), quiet=True, critic_lr=0)
        assert begun.summary["steps"] == 2
    (tmp_path / "moved").mkdir()
    (tmp_path / "a.npy").rename(tmp_path / "moved" / "a.npy")
    with os.scandir(tmp_path / "moved") as entries:
        (entry,) = entries  # whose str is no path
    assert wgan.resume(run, entry, steps=3, quiet=True).config.data.data == str(tmp_path / "moved" / "a.npy")
    with pytest.raises(UsageError, match="a run is named by its folder, and this is of type float; give a path"):
        wgan.load(3.5)  # type: ignore[arg-type]


def test_a_generator_outlives_its_family_s_own_depth_and_a_run_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SMALL, "steps": 2, "generator": "dcgan", "critic": "dcgan"}
    images = wgan.train(blobs(), out=tmp_path / "r", quiet=True, **options).generator.sample(3)
    monkeypatch.setattr(dcgan, "halvings", lambda *_: 2)  # another version, with another depth
    assert np.array_equal(wgan.load(tmp_path / "r").sample(3), images)
    with pytest.raises(WganError, match=r"does not fit the generator: body\S+ is .* in it\. .*another version built"):
        wgan.resume(tmp_path / "r", blobs(), steps=3, quiet=True)


def test_what_a_run_gives_can_be_given_again(tmp_path: Path) -> None:
    run = wgan.Run(str(tmp_path / "one"))  # a text will do, as everywhere
    wgan.train(blobs(), out=run.folder, quiet=True, **SMALL | {"steps": 2, "critic_lr": 3e-4})
    again = wgan.train(blobs(), config=run.config, out=tmp_path / "two", quiet=True, steps=3)
    assert again.config.optimizer == run.config.optimizer and again.config.run.steps == 3


def test_a_network_of_your_own_is_sent_where_it_can_be_trained() -> None:
    for name in ("generator", "critic"):
        with pytest.raises(UsageError, match=rf"^{name} is a network of your own; give it to wgan\.Trainer"):
            wgan.train(blobs(), **{name: torch.nn.Linear(2, 6)})


def test_a_model_of_a_generator_in_training_leaves_it_in_training() -> None:
    generator = make_generator("mlp", (2,), 8, width=4)
    assert generator.latent == Latent(8)
    model = wgan.Model(generator, wgan.open_data("ring").units)
    assert model.sample(3).shape == (3, 2)
    assert generator.training and all(weight.requires_grad for weight in generator.parameters())


def test_numbers_and_text_mean_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", blobs())
    options = {**SMALL, "steps": 2}
    one = wgan.train(tmp_path / "a.npy", out=tmp_path / "one", quiet=True, **options)
    text = {name: str(value) for name, value in options.items()}
    other = wgan.train(str(tmp_path / "a.npy"), out=tmp_path / "other", quiet=True, **text)
    assert one.config_file.read_text() == other.config_file.read_text()


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'critic_lr'"):
        wgan.train(blobs(), critic_ir=1e-3)


def test_modules_are_namespaces_and_unknown_names_are_errors() -> None:
    assert wgan.constraints.GradientPenalty(10.0).weight == 10
    for name in ("nothing", "__main__", "__wrapped__"):
        with pytest.raises(AttributeError, match=f"^module 'wgan' has no attribute '{name}'$"):
            getattr(wgan, name)


def test_what_calls_return_and_raise_is_at_hand() -> None:
    assert set(wgan.__all__) < set(dir(wgan))
    for name in wgan.__all__:
        assert name == "__version__" or getattr(wgan, name).__name__ == name
    for found, kind in ((wgan.distance([[0.0]], [[1.0]]), wgan.Estimate), (wgan.W1, type)):
        assert isinstance(found, kind)
    with pytest.raises(wgan.UsageError):
        wgan.distance(blobs(), blobs(), method="none")
    assert issubclass(wgan.UsageError, wgan.WganError)


def test_the_package_imports_nothing_slow() -> None:
    code = "import sys, wgan; assert not {'torch', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("mean", "kind"), [(100.0, np.float32), (1.7e9, np.float64)])
def test_vectors_come_back_in_a_type_that_tells_them_apart(mean: float, kind: type, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 3.0] + [0.0, mean]
    run = small_run(tmp_path / "r", x, generator="mlp", critic="mlp", steps=2)
    drawn = run.generator.sample(400)
    assert drawn.dtype == kind and len(np.unique(drawn[:, 1])) > 380
    main(["sample", str(run.folder), "-n", "400", "-o", str(tmp_path / "x.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), drawn)


def test_a_run_on_a_path_keeps_it_when_its_samples_are_given(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", blobs())
    run = small_run(tmp_path / "r", str(tmp_path / "a.npy"), steps=2)
    wgan.resume(run, blobs(), quiet=True, steps=3)
    assert wgan.resume(run, quiet=True, steps=4).summary["steps"] == 4


def test_opened_samples_are_not_opened_otherwise(tmp_path: Path) -> None:
    data = wgan.open_data(blobs())
    for given in ({"size": 4}, {"channels": 3}, {"held_out": 0.5}, {"fit": "stretch"}):
        with pytest.raises(UsageError, match=f"are opened already; give {next(iter(given))} to open_data"):
            wgan.train(data, out=tmp_path / "r", quiet=True, **SMALL | given)
    assert wgan.open_data(data, wgan.DataConfig(size=(8, 8), channels=1, held_out=0.1)) is data
    halves = wgan.DataConfig(held_out=0.5)
    half = wgan.open_data(blobs(), halves)
    assert wgan.open_data(half, halves) is half
    run = wgan.train(half, out=tmp_path / "h", quiet=True, **SMALL | {"steps": 1, "flip": True})
    assert run.config.data == wgan.DataConfig(data=OBJECT, held_out=0.5, flip=True)
    assert wgan.resume(run, blobs(), quiet=True, steps=2).summary["steps"] == 2
    assert wgan.resume(run, half, quiet=True, steps=3).summary["steps"] == 3
    alike = wgan.open_data(blobs(), wgan.DataConfig(held_out=0.5, size=(8, 8), fit="pad"))
    assert wgan.resume(run, alike, quiet=True, steps=4).summary["steps"] == 4


@pytest.mark.parametrize(
    ("source", "held_out"),
    [(np.random.default_rng(0).normal(size=(40_000, 2)), 0.4), (np.repeat(np.eye(4), 5, 0)[:, :3], 1)],
)
def test_opened_samples_suit_what_they_were_opened_with(source: np.ndarray, held_out: float) -> None:
    """However many are held out of what was asked for: there is a most, and copies go together."""
    given = wgan.DataConfig(held_out=held_out)
    data = wgan.open_data(source, given)
    assert wgan.open_data(data, given) is data


def test_the_same_training_leaves_the_same_bytes(tmp_path: Path) -> None:
    runs = [wgan.train(blobs(40), out=tmp_path / name, quiet=True, **SMALL | {"steps": 2}) for name in "abcd"]
    assert len({(run.folder / "generator.safetensors").read_bytes() for run in runs}) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda run: wgan.open_data(" "), "data is an empty text"),
        (lambda run: wgan.open_data(blobs(), 64), "options is 64; give an object such as DataConfig"),
        (lambda run: run.generator.sample(2.5), "n: 2.5 is not a whole number"),
        (lambda run: wgan.train(blobs(), init_from=run.generator), "init_from is .*; give a run, its folder"),
    ],
)
def test_what_cannot_be_meant_is_said(tmp_path: Path, call: Callable[[Any], object], words: str) -> None:
    run = wgan.train(blobs(40), out=tmp_path / "r", quiet=True, **SMALL | {"steps": 1})
    with pytest.raises(UsageError, match=words):
        call(run)


def test_the_remedy_for_changed_data_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", blobs(80))
    np.save("b.npy", 255 - blobs(80))
    run = small_run(Path("r"), "a.npy", steps=2)
    with pytest.raises(WganError, match="has changed") as told:
        wgan.resume(run, "b.npy", quiet=True, steps=4)
    with pytest.raises(UsageError, match=r"not built like this run's; take its settings with --config r/config.toml"):
        wgan.train("b.npy", out="no", init_from=run.folder, quiet=True, steps=1)
    command = str(told.value).partition("settings and weights: wgan ")[2].replace("DATA", "b.npy")
    main([*shlex.split(command), "--steps", "3", "--out", "new", "--quiet"])
    assert Run.open("new").summary["steps"] == 3
