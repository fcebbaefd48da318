"""W1 where it is known: translations, scalings, a point and a sphere, noise beside, rotations, nothing.

python bench/w1_known.py --seconds 60 --threads 1     # 10 minutes
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np
import torch
from funnels import Funnels
from torch import Tensor

from wgan.measure import W1, measure
from wgan.seeds import rng

N = 30_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| pair | truth | estimate / truth | interval | bound / truth | error |\n|---|---|---|---|---|---|")
    found = {}
    for name, a, b, truth in pairs():
        answer = measure(a, b, seconds=given.seconds)
        found[name] = answer
        low, high = answer.interval
        print(
            f"| {name} | {truth:.3f} | {answer.wasserstein / truth:.3f} | {low / truth:.2f} to {high / truth:.2f} "
            f"| {answer.lower_bound / truth:.3f} | {abs(answer.wasserstein / truth - 1):.1%} |",
            flush=True,
        )
    plain, turned = found["funnels with noise beside"], found["the same, rotated"]
    print(f"rotated by {turned.wasserstein - plain.wasserstein:+.4f}, standard error {_error(plain, turned):.4f}")
    a = normal(16, "nothing")
    nothing = measure(a[: N // 2], a[N // 2 :], seconds=given.seconds, null=True)
    print(
        f"P = Q: {nothing.wasserstein:.4f} up to {nothing.interval[1]:.4f}, null {nothing.null:.4f}, "
        f"bound {nothing.lower_bound:.4f}"
    )


def pairs() -> Iterator[tuple[str, Tensor, Tensor, float]]:
    """Name, samples of both sides, W1."""
    for dim in (2, 16, 128):
        a, b = normal(dim, "a"), normal(dim, "b")
        length = math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))  # E of a normal's norm
        yield f"translation, D = {dim}", a, b + 2 / dim**0.5, 2.0
        yield f"scaling by 1.3, D = {dim}", a, 1.3 * b, 0.3 * length
    sphere = torch.nn.functional.normalize(normal(128, "sphere"), dim=1)
    yield "point and sphere, D = 128", torch.zeros(N, 128), sphere, 1.0
    pair = Funnels(4, 4)
    truth = pair.truth(rng(0, "truth"))
    a, b = (draw(N, rng(0, name)) for draw, name in ((pair.p, "a"), (pair.q, "b")))
    a, b = torch.cat([a, normal(12, "noise a")], 1), torch.cat([b, normal(12, "noise b")], 1)
    yield "funnels with noise beside", a, b, truth
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=rng(0, "rotation")))[0]
    yield "the same, rotated", a @ rotation, b @ rotation, truth


def normal(dim: int, name: str) -> Tensor:
    """Samples of N(0, 1)."""
    return torch.randn(N, dim, generator=rng(0, name, dim))


def _error(a: W1, b: W1) -> float:
    return float(np.hypot(a.standard_error, b.standard_error))


if __name__ == "__main__":
    main()
