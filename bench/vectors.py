"""How near presets bring generated vectors to held-out ones, by processor time of one thread.

Three kinds of vectors, 10,000 to train on: eight Gaussians on a ring, five Gaussians in eight dimensions, and a table
of six columns with heavy tails, whole numbers and sums of others. After so many seconds of the processor, exact W1 of
2,000 samples to 2,000 held-out vectors is printed, and first that of others to these (the floor).

python bench/vectors.py --seconds 20 60 --presets points --set 'every=[1]' critic_steps=5 reuse=false batch=256
"""

import argparse
import time
import tomllib
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

import wgan
from wgan import options
from wgan.build import make_trainer, resolve
from wgan.config import Config
from wgan.machine.memory import kept_memory

Array = NDArray[np.float64]
TRAIN, JUDGED = 10_000, 2_000


def ring(n: int, rng: np.random.Generator) -> Array:
    """Eight Gaussians of deviation 0.05 on a circle of radius 2."""
    angles = rng.integers(0, 8, n) * np.pi / 4
    return 2 * np.stack([np.cos(angles), np.sin(angles)], 1) + 0.05 * rng.normal(size=(n, 2))


def clusters(n: int, rng: np.random.Generator) -> Array:
    """Five Gaussians of different covariances in eight dimensions."""
    fixed = np.random.default_rng(1)
    centres, shapes = 3 * fixed.normal(size=(5, 8)), fixed.normal(size=(5, 8, 8)) / np.sqrt(8)
    chosen = rng.integers(0, 5, n)
    return centres[chosen] + np.einsum("nij,nj->ni", shapes[chosen], rng.normal(size=(n, 8)))


def table(n: int, rng: np.random.Generator) -> Array:
    """Columns as tables have them."""
    size, kind = rng.lognormal(size=n), rng.integers(0, 4, n)
    waited = rng.exponential(size=n) * kind
    return np.stack([size, size * rng.normal(size=n), kind, waited, size + waited, rng.normal(size=n)], 1)


SETS: Mapping[str, Callable[[int, np.random.Generator], Array]] = {"ring": ring, "clusters": clusters, "table": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[45.0, 130.0], help="of the processor, from the start"
    )
    parser.add_argument("--presets", nargs="+", default=["points", "default"])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="options over every preset's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    over = {name: tomllib.loads(f"x = {value}")["x"] for name, value in (item.split("=", 1) for item in given.set)}
    print("| vectors | floor | preset | seed | steps, W1 |\n|---|---|---|---|---|")
    for name, draw in SETS.items():
        vectors = draw(TRAIN + 2 * JUDGED, np.random.default_rng(0))
        train, judges, others = np.split(vectors, [TRAIN, TRAIN + JUDGED])
        floor = wgan.distance(judges, others, method="exact").value
        for preset in given.presets:
            for seed in given.seeds:
                settings = options.make_config(options.preset(preset), over, {"seed": seed, "device": "cpu"})
                told = ", ".join(
                    f"{step:,}: {value:.3f}" for step, value in followed(settings, train, judges, given.seconds)
                )
                print(f"| {name} | {floor:.3f} | {preset} | {seed} | {told} |", flush=True)


def followed(settings: Config, train: Array, judges: Array, marks: list[float]) -> list[tuple[int, float]]:
    """Steps and W1 at each of the marks."""
    data = wgan.open_data(train, settings.data)
    trainer, _ = make_trainer(resolve(settings, data), data)
    found, spent = [], 0.0
    for mark in marks:
        began = time.process_time()
        with kept_memory():
            while spent + time.process_time() - began < mark:
                trainer.advance()
        spent += time.process_time() - began
        samples = data.units.to_user(trainer.sample(len(judges)))
        found.append((trainer.step, wgan.distance(judges, samples, method="exact").value))
    return found


if __name__ == "__main__":
    main()
