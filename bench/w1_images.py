"""Digits against noisy, blurred and class-dropped digits: our W1 against the debiased exact distance.

Noisy digits are pictures too: what noise takes out of [0, 1] is cut off, as in a file. Beside each change is what a way
to make it costs, which W1 is at most, and what means and covariances demand, which it is about at least.

python bench/w1_images.py --seconds 40 --threads 1     # 12 minutes; the digits that ship with the package
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

import wgan
from wgan.config import DataConfig
from wgan.distances.result import Estimate
from wgan.distances.transport import debiased, exact
from wgan.measure import measure

Array = NDArray[np.float64]
EXACT = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    digits, labels = everything()
    half = len(digits) // 2
    a, b, kinds = digits[:half], digits[half:], labels[half:]
    print(
        "| change | estimate | error | interval | bound | moments | cost of a way | debiased exact |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    ours, theirs = [], []
    for name, changed, cost in changes(b, kinds):
        answer = measure(a, changed, seconds=given.seconds)
        held = debiased(a[-EXACT:], changed[-EXACT:])
        quick = wgan.distance(a[-EXACT:], changed[-EXACT:], method="quadrature")
        assert isinstance(quick, Estimate) and quick.moments is not None
        ours.append(answer.wasserstein)
        theirs.append(held)
        low, high = answer.interval
        print(
            f"| {name} | {answer.wasserstein:.3f} | {answer.standard_error:.3f} | {low:.2f} to {high:.2f} "
            f"| {answer.lower_bound:.3f} | {quick.moments:.2f} | {cost:.3f} | {held:.4f} |",
            flush=True,
        )
    print(f"Spearman over {len(ours)} points: {spearmanr(ours, theirs).statistic:.3f}")


def everything() -> tuple[Array, NDArray[np.int64]]:
    """All digits as (N, 784) in [0, 1], shuffled, and their classes."""
    data = wgan.open_data("digits", DataConfig())
    parts = [(part.batch(torch.arange(part.size or 0)), part.labels) for part in (data.train, data.held_out)]
    images = torch.cat([x for x, _ in parts]).flatten(1).double().numpy() / 2 + 0.5
    labels = np.concatenate([np.asarray(kinds) for _, kinds in parts])
    order = np.random.default_rng(0).permutation(len(images))
    return images[order], labels[order]


def changes(x: Array, labels: NDArray[np.int64]) -> Iterator[tuple[str, Array, float]]:
    """Name, changed digits, and what a way to change them costs: that of each digit to its changed one.

    If Q has lost the share s of P that is of some classes, Z, then P = (1 - s) Q + s Z and W1(P, Q) = s W1(Z, Q): that
    share times what the exact transport of its digits onto others costs.
    """
    noise = np.random.default_rng(1).normal(size=x.shape)
    ways: dict[str, tuple[tuple[float, ...], Callable[[float], Array]]] = {
        "noise": ((0.05, 0.1, 0.2, 0.3, 0.5), lambda s: (x + s * noise).clip(0, 1)),
        "blur": ((0.4, 0.6, 0.8, 1.2, 2.0), lambda s: _blurred(x, s)),
    }
    for name, (strengths, change) in ways.items():
        for strength in strengths:
            changed = change(strength)
            yield f"{name} {strength:g}", changed, float(np.linalg.norm(changed - x, axis=1).mean())
    for dropped in (1, 2, 3, 5, 7):
        kept, gone = x[labels >= dropped], x[labels < dropped]
        few = min(len(kept), len(gone), EXACT)
        cost = len(gone) / len(x) * exact(gone[:few], kept[:few])
        yield f"without {dropped} classes", kept, cost


def _blurred(x: Array, sigma: float) -> Array:
    pictures = x.reshape(len(x), 28, 28)
    return np.asarray(gaussian_filter(pictures, (0, sigma, sigma))).reshape(x.shape)


if __name__ == "__main__":
    main()
