"""Small data, networks and configurations that many tests share."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wgan import loop, options
from wgan.config import Config
from wgan.data.samples import Data, Pictures, Units, Vectors
from wgan.networks import Latent, make_critic, make_generator
from wgan.registry import CONSTRAINTS
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.view import View

Array = NDArray[np.float64]

BYTES = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), np.uint8)
"""Small pictures of noise in colour, and one of their channels, with the darkest and the brightest value in it."""
GREY = BYTES[..., 0]
GREY[0, 0, :2] = 0, 255

SMALL: dict[str, Any] = {
    "generator": "dcgan", "critic": "dcgan", "generator_width": 4, "critic_width": 4, "latent": 8,
    "batch": 8, "steps": 12, "log_every": "4", "sample_every": "6", "save_every": "1h", "threads": 1,
    "precision": "fp32", "device": "cpu", "critic_steps": 2,
}  # fmt: skip


def blobs(n: int = 64, size: int = 8, channels: int = 1) -> NDArray[np.uint8]:
    """Pictures of a bright square at a random place."""
    rng = np.random.default_rng(0)
    images = np.zeros((n, size, size, channels), np.uint8)
    for image, (y, x) in zip(images, rng.integers(0, size - 3, (n, 2)), strict=True):
        image[y : y + 3, x : x + 3] = rng.integers(128, 256)
    return images


def normal(n: int, d: int, seed: int = 0) -> Array:
    """Normal points (n, d)."""
    return np.random.default_rng(seed).normal(size=(n, d))


def small_config(**changes: Any) -> Config:
    """A configuration that trains in a second."""
    return options.make_config(SMALL, changes)


def small_run(out: Path, source: Any = None, **changes: Any) -> Run:
    """A finished small run."""
    if isinstance(source, str):
        return loop.train(small_config(data=source, **changes), out=out)
    return loop.train(small_config(**changes), source=blobs() if source is None else source, out=out)


def tiny_trainer(**changes: Any) -> Trainer:
    """A float64 trainer of two small perceptrons on vectors of 6."""
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 6)).double()
    critic = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1)).double()
    settings: dict[str, Any] = {"latent": Latent(3), "batch": 16, "critic_steps": 3, "seed": 5, **changes}
    trainer = Trainer(generator, critic, **settings)
    trainer.attach(vectors())
    return trainer


def picture_trainer(constraint: str = "spectral", dropout: float = 0.0, **changes: Any) -> Trainer:
    """A trainer of small convolutions on blobs."""
    torch.manual_seed(0)
    generator = make_generator("dcgan", (1, 8, 8), Latent(4), width=4, norm="batch")
    critic = make_critic("dcgan", (1, 8, 8), width=4, dropout=dropout)
    made = CONSTRAINTS[constraint].load()()
    trainer = Trainer(generator, critic, constraint=made, batch=8, critic_steps=1, **changes)
    trainer.attach(blobs())
    return trainer


class Keeping(nn.Module):
    """A layer that keeps what it made, as people do who want to look at it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer, self.all = layer, dict[str, list[Tensor]]()

    def forward(self, x: Tensor) -> Tensor:
        self.last: Tensor = self.layer(x)
        self.all["made"] = [self.last, self.last * 2]
        return self.last


def vectors(n: int = 200, d: int = 6) -> NDArray[np.float32]:
    """Correlated Gaussian vectors."""
    rng = np.random.default_rng(1)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(np.float32)


def plain(array: NDArray[Any]) -> Vectors:
    """All rows of an array, as they are."""
    dimension = array.shape[1]
    return Vectors(array, Units(np.zeros(dimension), np.ones(dimension)))


def records(run: Run) -> list[dict[str, Any]]:
    """A run's records without what the clock tells."""
    timed = ("seconds", "images_per_second")
    lines = run.metrics.read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


def two(arguments: list[str], **environment: str) -> list[subprocess.Popen[str]]:
    """Start a program in two processes that find each other on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "GLOO_SOCKET_IFNAME": "lo", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | shared | environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


class Interrupter(View):
    """Sends a signal to this process after a step, as Ctrl-C would."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = step, number
        self.notes: list[str] = []

    def step(self, share: float, step: int) -> None:
        if step == self.at:
            os.kill(os.getpid(), self.number)

    def note(self, text: str) -> None:
        self.notes.append(text)


def tensors(run: Run) -> dict[str, torch.Tensor]:
    return run.restore()[0]


def assert_same(one: Run, other: Run) -> None:
    """Bit for bit: weights, average, optimizers, metrics and pictures."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    assert records(one) == records(other)
    pictures = [{path.name: path.read_bytes() for path in run.sample_paths()} for run in (one, other)]
    assert pictures[0] == pictures[1]


class Listed:
    """What torchvision's data sets are: a length and items."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Any:
        return self.items[number]


def pixels(data: Data) -> NDArray[np.uint8]:
    """What is trained on, (N, H, W, C)."""
    assert isinstance(data.train, Pictures)
    return np.asarray(data.train.images)
