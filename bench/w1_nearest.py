"""Digits against digits that were brought to the nearest points of a set, whose W1 is known exactly.

If f(x) is the point of a closed set S that is nearest to x, W1(P, f P) = E |x - f(x)|: that is what this way to move
mass costs, and the distance to S, whose slope is 1, is a critic that finds as much. So these changes of every picture's
details, which move all of them alike, have a truth, and no estimate here knows the way: other digits are changed than
those that they are held against.

python bench/w1_nearest.py --seconds 30 --threads 1     # 8 minutes; the digits that ship with the package
"""

import argparse
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from w1_images import everything

import wgan
from wgan.distances.result import Estimate
from wgan.measure import measure

Array = NDArray[np.float64]
SIDE, FEW, FIRST = 28, 2000, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    digits, _ = everything()
    half = len(digits) // 2
    a, b = digits[:half], digits[half:]
    print(
        "| change | truth | quadrature of 2,000 | range | moments | by critic | interval | bound |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, change in changes(a).items():
        changed = change(b)
        truth = float(np.linalg.norm(b - changed, axis=1).mean())
        quick = wgan.distance(a[:FEW], changed[:FEW], method="quadrature")
        assert isinstance(quick, Estimate) and quick.moments is not None
        found = measure(a, changed, seconds=given.seconds)
        low, high = found.interval
        print(
            f"| {name} | {truth:.3f} | {quick.value:.3f} ± {quick.standard_error:.2g} "
            f"| {quick.least:.2f} to {quick.most:.2f} | {quick.moments:.2f} "
            f"| {found.wasserstein:.3f}, {'' if found.conclusive else 'in'}conclusive | {low:.2f} to {high:.2f} "
            f"| {found.lower_bound:.3f} |",
            flush=True,
        )


def changes(a: Array) -> Mapping[str, Callable[[Array], Array]]:
    """Ways to the nearest points of sets, for digits (N, 784) in [0, 1]."""
    middle = a.mean(0)
    directions = np.linalg.svd(a - middle, full_matrices=False)[2][:FIRST]

    def mirrored(x: Array) -> Array:
        return x.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(x.shape)

    def without_lower_half(x: Array) -> Array:
        return x * (np.arange(SIDE * SIDE) < SIDE * SIDE / 2)

    return {
        "black and white": np.rint,
        "three grey values": lambda x: np.rint(2 * x) / 2,
        "four grey values": lambda x: np.rint(3 * x) / 3,
        "at most half bright": lambda x: x.clip(0, 0.5),
        "means of 2x2 pixels": lambda x: _pixelated(x, 2),
        "means of 4x4 pixels": lambda x: _pixelated(x, 4),
        f"{FIRST} principal components": lambda x: middle + (x - middle) @ directions.T @ directions,
        "mean with the mirror image": lambda x: (x + mirrored(x)) / 2,
        "without the lower half": without_lower_half,
    }


def _pixelated(x: Array, size: int) -> Array:
    blocks = x.reshape(-1, SIDE // size, size, SIDE // size, size)
    means = blocks.mean((2, 4), keepdims=True)
    return np.broadcast_to(means, blocks.shape).reshape(x.shape).copy()


if __name__ == "__main__":
    main()
