r"""Three GANs learn a ring of eight Gaussians: who finds them all, and who keeps them.

References:
    Unrolled Generative Adversarial Networks (Metz et al., 2017), figure 2, https://arxiv.org/abs/1611.02163
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), https://arxiv.org/abs/1704.00028
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from wgan.arrays import Floats
from wgan.constraints import LipschitzPenalty, Unconstrained
from wgan.data import open_data
from wgan.data.toys import SPREAD
from wgan.figures.critics import perceptron
from wgan.figures.style import BLUE, GREY, blank
from wgan.networks import Latent, mlp
from wgan.objectives import Minimax, NonSaturating, Wasserstein
from wgan.optimizers import Adam
from wgan.schedule import Decay
from wgan.seeds import seeded
from wgan.trainer import Trainer

CLASSIC: dict[str, Any] = {"constraint": Unconstrained(), "optimizer": Adam((0.5, 0.999))}
METHODS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "minimax": ("minimax", CLASSIC | {"objective": Minimax()}),
    "non_saturating": ("non-saturating", CLASSIC | {"objective": NonSaturating()}),
    "wgan": ("WGAN, one-sided penalty", {"objective": Wasserstein(), "constraint": LipschitzPenalty(10.0)}),
}
"""Name -> label, and the options of its trainer."""
COLUMNS = (0, 50, 100, 200, 400, 600)
"""The generator steps at which samples are drawn."""
SAMPLES, LATENT = 2000, 16
"""How many samples are drawn, and the size of the noise."""
COMMON: dict[str, Any] = {
    "generator_lr": 2e-3,
    "critic_lr": 2e-3,
    "critic_steps": 3,
    "decay": Decay(0, COLUMNS[-1]),
    "ema_half_life": 0,
    "batch": 128,
}
"""The options that all trainers share."""


@dataclass(frozen=True)
class Histories:
    """Generated samples over time.

    Attributes:
        samples: By method: (len(COLUMNS), SAMPLES, 2).
        modes: The centres of the eight Gaussians (8, 2).
    """

    samples: dict[str, Floats]
    modes: Floats

    def summary(self) -> dict[str, float]:
        """How many Gaussians have samples at the end, and the share of samples that are near one."""
        ends = {name: samples[-1] for name, samples in self.samples.items()}
        covered = {f"{name}_modes": float(covers(end, self.modes).sum()) for name, end in ends.items()}
        return covered | {
            f"{name}_near": float(nearby(end, self.modes).any(axis=1).mean()) for name, end in ends.items()
        }


def nearby(samples: Floats, modes: Floats) -> NDArray[np.bool_]:
    """Which samples (N, 2) are within four standard deviations of which centre (M, 2): (N, M)."""
    near: NDArray[np.bool_] = cdist(samples, modes) < 4 * SPREAD
    return near


def covers(samples: Floats, modes: Floats) -> NDArray[np.bool_]:
    """Which Gaussians have at least a quarter of the samples near them that are theirs: (M,)."""
    enough: NDArray[np.bool_] = nearby(samples, modes).mean(axis=0) >= 0.25 / len(modes)
    return enough


def compute(seed: int = 0) -> Histories:
    """Train a GAN with each method, from the same first weights."""
    data = open_data("ring")
    assert data.modes is not None
    samples = {}
    for name, (_, options) in METHODS.items():
        with seeded(seed, "weights"):
            generator = mlp.generator((2,), Latent(LATENT), width=128)
        trainer = Trainer(generator, perceptron(2, seed, width=128), **COMMON, **options, seed=seed)
        trainer.attach(data)
        rows = []
        for column in COLUMNS:
            while trainer.step < column:
                trainer.advance()
            rows.append(trainer.sample(SAMPLES, seed).double().numpy())
        samples[name] = np.stack(rows)
    return Histories(samples, data.modes)


def draw(numbers: Histories) -> Figure:
    """A row for each method, a column for each time."""
    figure = blank(12, 6.6)
    grid = figure.subplots(len(METHODS), len(COLUMNS), sharex=True, sharey=True)
    for row, (name, (label, _)) in zip(grid, METHODS.items(), strict=True):
        row[0].set_ylabel(f"{label}\ny")
        for axes, step, points in zip(row, COLUMNS, numbers.samples[name], strict=True):
            axes.plot(*numbers.modes.T, "o", ms=9, mfc="none", mec=GREY, mew=1)
            axes.plot(*points.T, "o", ms=2, mew=0, color=BLUE, alpha=0.35)
            axes.set(aspect="equal", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
            axes.set_title(f"{covers(points, numbers.modes).sum()} of 8", loc="right", fontsize=9, color=GREY)
            if row[0] is grid[0, 0]:
                axes.set_title(f"step {step}", loc="left", fontsize=11, weight="bold")
    for axes in grid[-1]:
        axes.set_xlabel("x")
    return figure
