"""Batches of the toy data sets, and of the generator of Gulrajani et al.: real samples with Gaussian noise."""

import torch
from torch import Tensor

from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.figures.critics import Draw
from wgan.seeds import rng


def beside_noise(name: str, batch: int, seed: int) -> Draw:
    """Batches of a toy, and as generated ones other samples of it with noise N(0, 1) added."""
    batches = Batches(open_data(name).train, batch, seed)

    def draw(k: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(batch, 2, generator=rng(seed, "noise", k))
        return batches[2 * k], batches[2 * k + 1] + noise

    return draw
