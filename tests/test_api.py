"""The Python contract: train, load, sample, and anything that has items."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import wgan
from toolbox import SMALL, blobs
from wgan.errors import UsageError, WganError
from wgan.networks import dcgan


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


def test_a_generator_outlives_its_family_s_own_depth_and_a_run_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SMALL, "steps": 2, "generator": "dcgan", "critic": "dcgan"}
    images = wgan.train(blobs(), out=tmp_path / "r", quiet=True, **options).generator.sample(3)
    monkeypatch.setattr(dcgan, "halvings", lambda *_: 2)  # another version, with another depth
    assert np.array_equal(wgan.load(tmp_path / "r").sample(3), images)
    with pytest.raises(WganError, match=r"does not fit the networks .*another version of wgan"):
        wgan.resume(tmp_path / "r", blobs(), steps=3, quiet=True)


def test_a_generator_from_before_an_option_was_there_is_as_it_was(tmp_path: Path) -> None:
    options = {**SMALL, "steps": 2, "generator_refine": False, "generator_modulate": False}
    run = wgan.train(blobs(), out=tmp_path / "r", quiet=True, **options)
    images, path = run.generator.sample(3), run.folder / "generator.safetensors"
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()["wgan"])
    assert not about["network"]["options"].pop("refine") and not about["network"]["options"].pop("modulate")
    save_file(tensors, path, {"wgan": json.dumps(about)})
    assert np.array_equal(wgan.load(path).sample(3), images)


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
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        wgan.nothing  # noqa: B018


def test_the_package_imports_nothing_slow() -> None:
    code = "import sys, wgan; assert not {'torch', 'numpy', 'matplotlib', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
