"""Every preset builds what its reference says; that each of them trains and goes on is in test_resume.py."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import wgan
from toolbox import blobs
from wgan import options
from wgan.api import configure
from wgan.build import make_trainer, resolve
from wgan.config import Config
from wgan.constraints import Constraint
from wgan.data import open_data
from wgan.data.samples import Data
from wgan.networks.base import parameters
from wgan.networks.layers import Squash
from wgan.schedule import CriticSteps
from wgan.trainer import Trainer

NATIVE = {"default": 28, "wgan": 28, "wgan-gp": 28, "dcgan-clip": 28, "tiny-gp": 28, "conv-gp": 28, "mlp-clip": 28}
COUNTS = {  # generator and critic, at the channels of their reference
    "dcgan64-clip": (3, None, 2_765_633),
    "dcgan64-gp": (3, 12_658_435, 2_765_633),
    "tiny-gp": (1, 10_747, 6_269),
    "mlp-clip": (
        1,
        (100 * 128 + 128) + (128 * 256 + 512) + (256 * 512 + 1024) + (512 * 1024 + 2048) + (1024 * 1024 + 1024),
        (1024 * 512 + 512) + (512 * 256 + 256) + 257,
    ),
    "dcgan-clip": (
        1,
        (32 * 6272 + 2 * 128) + (128 * 64 * 25 + 2 * 64) + (64 * 32 * 25 + 2 * 32) + (32 * 9 + 1),
        (25 * 64 + 64) + (64 * 128 * 25 + 128) + (128 * 49 + 1),
    ),
}
SETTINGS = {  # optimizer, critic's and generator's learning rate, constraint, critic steps, batch, epochs
    "dcgan-clip": ("rmsprop", 5e-4, 5e-4, "WeightClipping(0.01)", 5, 64, 60),
    "conv-gp": ("adam", 1e-4, 1e-4, "GradientPenalty(10)", 9, 32, 20),
    "dcgan64-clip": ("rmsprop", 5e-5, 5e-5, "WeightClipping(0.01)", 5, 64, 50),
    "dcgan64-gp": ("adam", 1e-4, 1e-4, "GradientPenalty(10)", 5, 64, 50),
    "tiny-gp": ("adam", 3e-4, 3e-4, "GradientPenalty(10)", 5, 64, 20),
    "mlp-clip": ("rmsprop", 5e-5, 5e-5, "WeightClipping(0.005)", 25, 64, 200),
    "gan-minimax": ("adam", 2e-4, 2e-4, "Unconstrained(1)", 1, 64, 60),
    "gan-nonsaturating": ("adam", 2e-4, 2e-4, "Unconstrained(1)", 1, 64, 60),
}


def built(name: str, channels: int = 1, **changes: Any) -> tuple[Trainer, Config, Data]:
    config = options.make_config(options.preset(name), changes)
    data = open_data(blobs(40, 28, channels), config.data)
    config = resolve(config, data)
    return make_trainer(config, data)[0], config, data


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_those_of_the_reference(name: str) -> None:
    channels, generator, critic = COUNTS[name]
    trainer, _, _ = built(name, channels)
    assert parameters(trainer.critic) == critic
    assert generator is None or parameters(trainer.generator) == generator


@pytest.mark.parametrize("name", options.presets())
def test_only_the_default_has_a_generator_of_its_own_making(name: str) -> None:
    """A gain has no weights, so that no count of parameters would tell."""
    generator = built(name)[0].generator
    gains = [layer.gain for layer in generator.modules() if isinstance(layer, Squash)]
    assert gains == ([] if len(generator.shape) == 1 else [3.0 if name == "default" else 1.0])


def learning_rates(trainer: Trainer) -> tuple[float, ...]:
    """The generator's and the critic's."""
    return tuple(each.param_groups[0]["lr"] for each in (trainer.generator_optimizer, trainer.critic_optimizer))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_those_of_the_reference(name: str) -> None:
    trainer, config, _ = built(name)
    optimizer, critic_lr, generator_lr, constraint, critic_steps, batch, epochs = SETTINGS[name]
    assert (config.optimizer.optimizer, learning_rates(trainer)) == (optimizer, (generator_lr, critic_lr))
    assert (repr(trainer.constraint), trainer.critic_steps.usual, trainer.batch) == (constraint, critic_steps, batch)
    assert config.run.epochs == epochs
    kind = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[optimizer]
    assert isinstance(trainer.critic_optimizer, kind) and isinstance(trainer.generator_optimizer, kind)


def test_the_papers() -> None:
    trainer, config, _ = built("wgan")
    assert (learning_rates(trainer), config.optimizer.optimizer) == ((5e-5, 5e-5), "rmsprop")
    assert (trainer.critic_steps, repr(trainer.constraint)) == (CriticSteps(5, 25, 100), "WeightClipping(0.01)")
    trainer, config, _ = built("wgan-gp")
    assert (learning_rates(trainer), config.optimizer.betas) == ((1e-4, 1e-4), (0.0, 0.9))
    assert (trainer.critic_steps, repr(trainer.constraint)) == (CriticSteps(5), "GradientPenalty(10)")


@pytest.mark.parametrize("name", options.presets())
def test_its_first_line_says_what_it_is(name: str) -> None:
    assert 20 < len(options.preset_help(name)) < 120


def test_the_variants_that_the_references_name() -> None:
    config = options.make_config(options.preset("tiny-gp"), {"constraint": "r1+r2"})
    data = open_data(blobs(40, 28), config.data)
    constraint: Constraint = make_trainer(resolve(config, data), data)[0].constraint
    assert repr(constraint) == "R1(10) + R2(10)"
    layered = options.make_config(options.preset("conv-gp"), {"critic_norm": "layer"})
    trainer = make_trainer(resolve(layered, data), open_data(blobs(40, 28), layered.data))[0]
    norms = [module for module in trainer.critic.modules() if isinstance(module, torch.nn.GroupNorm)]
    assert [norm.num_channels for norm in norms] == [32, 64, 128, 256, 512]


class Rows:
    """Pictures with their classes, as data sets of Hugging Face are: they have a shape, of rows and columns."""

    shape = (5, 2)

    def __len__(self) -> int:
        return 5

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {"image": np.zeros((8, 8), np.uint8), "label": number}


def test_a_preset_is_chosen_by_a_name_without_torch() -> None:
    code = "from wgan.api import configure\nconfigure(None, None, {'data': 'digits'})\n"
    code += "import sys\nprint('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_vectors_begin_with_their_own_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.zeros((5, 2)))
    np.save("p.npy", np.zeros((5, 8, 8)))
    np.savez("v.npz", labels=np.zeros(5), x=np.zeros((5, 3)))
    np.savez_compressed("p.npz", images=np.zeros((5, 8, 8)), labels=np.zeros((5, 1)))
    Path("broken.npy").write_bytes(b"\x93NUMPY")
    Path("broken.npz").write_bytes(b"PK")
    cut = bytearray(Path("p.npz").read_bytes())
    cut[60:80] = bytes(20)
    Path("damaged.npz").write_bytes(cut)
    Path("folder").mkdir()
    for name in ("ring", "v.npy", "v.npz"):
        assert configure(None, None, {"data": name})[1] == f"{Path(name).stem}-points"
    for name in (
        "digits",
        "p.npy",
        "p.npz",
        "broken.npy",
        "broken.npz",
        "damaged.npz",
        "nothing.npy",
        "folder",
        "nothing",
    ):
        assert configure(None, None, {"data": name})[1] == f"{Path(name).stem}-default"
    for source in (np.zeros(5), np.zeros((5, 2)), torch.zeros(5, 2), wgan.open_data("ring")):
        assert configure(None, None, {}, source)[1] == "object-points"
    for source in (np.zeros((5, 8, 8)), [np.zeros((8, 8))], wgan.open_data("digits"), Rows()):
        assert configure(None, None, {}, source)[1] == "object-default"
    assert configure("wgan", None, {"data": "ring"})[1] == "ring-wgan"
    assert configure(None, Config(), {"data": "ring"})[1] == "ring-config"
