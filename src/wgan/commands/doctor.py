"""What a machine offers for training, and how fast it is."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from wgan.constraints import GradientPenalty
from wgan.data.cache import cache_folder, cache_sizes
from wgan.machine import processor
from wgan.machine.devices import has_fast_bf16
from wgan.machine.environment import PACKAGES, installed
from wgan.machine.processor import set_threads
from wgan.networks import Latent, make_critic, make_generator
from wgan.trainer import Trainer
from wgan.words import count

EXTRAS = ("tensorboard",)
_SECONDS = 2.4  # for each measurement


def examine(speed: bool) -> dict[str, Any]:
    """Everything that is worth knowing when something is slow or wrong, as JSON-able values."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    device = torch.device("cuda" if gpus else "cpu")
    found: dict[str, Any] = {
        "versions": {name: installed(name) for name in ("wgan", *PACKAGES)},
        "machine": {
            "processor": processor.name(),
            "cores": processor.cores(),
            "threads": set_threads(None),
            "gpus": gpus,
            "precision": "bf16" if has_fast_bf16(device) else "fp32",
        },
        "cache": {"folder": str(cache_folder()), "bytes": cache_sizes()},
        "extras": {name: installed(name) for name in EXTRAS},
    }
    return found | ({"images_per_second": measure_speed(device)} if speed else {})


def measure_speed(device: torch.device) -> dict[str, float]:
    """Real images a second through WGAN-GP steps of two networks, in fp32 and in bf16 where that is fast."""
    precisions = {"fp32": torch.float32} | ({"bf16": torch.bfloat16} if has_fast_bf16(device) else {})
    return {
        f"wgan-gp {family} 28x28 {name}": _images_per_second(family, precision, device)
        for family in ("mlp", "dcgan")
        for name, precision in precisions.items()
    }


def sections(found: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The findings as sections of names and words."""
    machine, cache = found["machine"], found["cache"]
    size, entries = sum(cache["bytes"].values()) / 1e6, count(len(cache["bytes"]), "part")
    cores, threads = count(machine["cores"], "core"), count(machine["threads"], "thread")
    told = {
        "versions": {name: str(v or "not installed") for name, v in found["versions"].items()},
        "machine": {
            "processor": f"{machine['processor']}, {cores}, {threads} used",
            "gpu": ", ".join(machine["gpus"]) or "none that torch can use",
            "precision": f"auto is {machine['precision']} here",
        },
        "cache": {"folder": cache["folder"], "size": f"{size:,.1f} MB in {entries} (you may delete it)"},
        "extras": {n: v or f"not installed: pip install {n}" for n, v in found["extras"].items()},
    }
    speeds = found.get("images_per_second", {})
    return told | ({"speed": {name: f"{rate:,.0f} images/s" for name, rate in speeds.items()}} if speeds else {})


def _images_per_second(family: str, precision: torch.dtype, device: torch.device) -> float:
    shape, latent = (1, 28, 28), Latent(64)
    trainer = Trainer(
        make_generator(family, shape, latent),
        make_critic(family, shape),
        constraint=GradientPenalty(10.0),
        device=device,
        precision=precision,
    )
    trainer.attach(np.random.default_rng(0).integers(0, 256, (1024, 28, 28), dtype=np.uint8))
    trainer.advance()  # the first step also allocates and chooses kernels
    images, seconds, started = trainer.images, trainer.seconds, time.monotonic()
    while time.monotonic() - started < _SECONDS:
        trainer.advance()
    return (trainer.images - images) / (trainer.seconds - seconds)
