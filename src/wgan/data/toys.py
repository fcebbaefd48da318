r"""Toy distributions in the plane with known shapes, as virtual arrays without end.

Sample i is a hash of i: splitmix64 turns the counter into uniform numbers, Box-Muller turns pairs of these
into normal ones. So any sample can be computed alone, in any order, on any machine. Coordinates have a
standard deviation of about 1.

References:
    Fast Splittable Pseudorandom Number Generators (Steele et al., 2014), https://doi.org/10.1145/2714064.2660195
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.progress import Progress
from wgan.data.report import Report
from wgan.data.samples import Data, Endless, Units, no_picture_options

Draw = Callable[[NDArray[np.int64], int], NDArray[np.float64]]

SPREAD = 0.04
"""Standard deviation of each Gaussian of ring and grid."""


def ring(options: DataConfig, progress: Progress) -> Data:
    r"""8 Gaussians of standard deviation 0.04 on the circle of radius :math:`\sqrt 2` around 0."""
    angles = np.arange(8) * (2 * math.pi / 8)
    centres = math.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _toy("ring", options, _mixture(centres), centres)


def grid(options: DataConfig, progress: Progress) -> Data:
    r"""25 Gaussians of standard deviation 0.04 on a 5 x 5 grid with spacing :math:`1 / \sqrt 2` around 0."""
    ticks = np.arange(-2, 3) / math.sqrt(2)
    centres = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(25, 2)
    return _toy("grid", options, _mixture(centres), centres)


def swissroll(options: DataConfig, progress: Progress) -> Data:
    r"""A spiral :math:`t (\cos t, \sin t) / 7` with some noise, t uniform in :math:`[1.5 \pi, 4.5 \pi]`."""
    return _toy("swissroll", options, _spiral, None)


def _toy(name: str, options: DataConfig, draw: Draw, modes: NDArray[np.float64] | None) -> Data:
    no_picture_options(options, name)
    return Data(
        name=name,
        shape=(2,),
        train=Endless(2, draw, key=0),
        held_out=Endless(2, draw, key=2**32),
        report=Report(name, "computed, fresh samples without end", (2,)),
        units=Units(np.zeros(2), np.ones(2)),
        modes=modes,
    )


def _mixture(centres: NDArray[np.float64]) -> Draw:
    def draw(index: NDArray[np.int64], key: int) -> NDArray[np.float64]:
        u = uniforms(index, key, 3)
        which = (u[:, 0] * len(centres)).astype(np.int64)
        return centres[which] + SPREAD * _normals(u[:, 1], u[:, 2])

    return draw


def _spiral(index: NDArray[np.int64], key: int) -> NDArray[np.float64]:
    u = uniforms(index, key, 3)
    t = math.pi * (1.5 + 3 * u[:, 0])
    curve = np.stack([np.cos(t), np.sin(t)], axis=1) * t[:, None]
    return (curve + 0.25 * _normals(u[:, 1], u[:, 2])) / 7


def uniforms(index: NDArray[np.int64], key: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) that depend on (index, key) only: int64 (N,) -> float64 (N, count)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    keyed = _mix(np.array([key], dtype=np.uint64) * golden)
    rows = _mix(index.astype(np.uint64) * golden + keyed)
    columns = np.arange(1, count + 1, dtype=np.uint64) * golden
    bits = _mix(rows[:, None] + columns[None, :])
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, a bijection of 64 bits (products wrap around)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _normals(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Box and Muller: two uniform numbers -> two independent N(0, 1), as (N, 2)."""
    radius = np.sqrt(-2 * np.log(u))
    return np.stack([radius * np.cos(2 * math.pi * v), radius * np.sin(2 * math.pi * v)], axis=1)
