"""WGAN-GP as popular training scripts write it, without any of what makes it fast: what others are measured against.

The habits are those of the scripts. Pictures go one by one through PIL and a chain of transforms in the main process;
the generator's graph is kept in the critic's steps and its gradients computed, only to be thrown away; the critic runs
three times a step; Adam is the plain one, memory is contiguous, everything is in float32, and the losses are read at
each step.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

LEARNING_RATE, BETAS, WEIGHT, CRITIC_STEPS, BATCH, LATENT = 2e-4, (0.5, 0.999), 10.0, 5, 64, 100


class PictureDataset(Dataset[Tensor]):
    """Pictures of a uint8 array (N, H, W, C), each by itself from a PIL image to a tensor in [-1, 1]."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        pixels = self.images[index]
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        channels = len(picture.getbands())
        return normalised(to_tensor(picture), [0.5] * channels, [0.5] * channels)


def to_tensor(picture: Image.Image) -> Tensor:
    """A PIL image as floats (C, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
    pixels = pixels.view(picture.height, picture.width, len(picture.getbands()))
    return pixels.permute(2, 0, 1).contiguous().to(torch.get_default_dtype()).div(255)


def normalised(picture: Tensor, mean: list[float], std: list[float]) -> Tensor:
    """Less the mean, over the standard deviation, channel by channel."""
    means, stds = (torch.as_tensor(v, dtype=picture.dtype).view(-1, 1, 1) for v in (mean, std))
    return picture.clone().sub_(means).div_(stds)


def batches(images: NDArray[np.uint8], batch: int = BATCH) -> Iterator[Tensor]:
    """Epoch after epoch of a DataLoader with the settings of the scripts."""
    loader = DataLoader(PictureDataset(images), batch_size=batch, shuffle=True)
    while True:
        yield from loader


class Noise:
    """What the loop draws, from torch's own stream."""

    def critic_latents(self, n: int, size: int) -> Tensor:
        """Noise (n, size) for a critic step."""
        return torch.randn(n, size)

    def generator_latents(self, n: int, size: int) -> Tensor:
        """Noise (n, size) for a generator step."""
        return torch.randn(n, size)

    def shares(self, n: int) -> Tensor:
        """The share (n, 1, 1, 1) of the real picture in each point between a real and a generated one."""
        return torch.rand(n, 1, 1, 1)


class Textbook:
    """The loop.

    Args:
        generator: Noise to pictures.
        critic: Pictures to scores.
        reals: Batches of real pictures, without end.
        latent: How many numbers the noise has.
        lr: Both learning rates.
        betas: Of both Adams.
        noise: What it draws.
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        reals: Iterator[Tensor],
        *,
        latent: int = LATENT,
        lr: float = LEARNING_RATE,
        betas: tuple[float, float] = BETAS,
        noise: Noise | None = None,
    ) -> None:
        self.generator, self.critic, self.reals, self.latent = generator, critic, reals, latent
        self.noise = noise or Noise()
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=betas)
        self.critic_optimizer = torch.optim.Adam(critic.parameters(), lr=lr, betas=betas)
        self.critic_losses: list[float] = []
        self.generator_loss = 0.0

    def advance(self) -> None:
        """Five critic steps and a generator step; their losses are kept for printing."""
        self.critic_losses = [self._critic_step() for _ in range(CRITIC_STEPS)]
        self.generator_optimizer.zero_grad()
        fake = self.generator(self.noise.generator_latents(BATCH, self.latent))
        loss = -torch.mean(self.critic(fake))
        loss.backward()
        self.generator_optimizer.step()
        self.generator_loss = loss.item()

    def _critic_step(self) -> float:
        real = next(self.reals)
        self.critic_optimizer.zero_grad()
        fake = self.generator(self.noise.critic_latents(len(real), self.latent))
        real_scores, fake_scores = self.critic(real), self.critic(fake)
        penalty = gradient_penalty(self.critic, real.data, fake.data, self.noise.shares(len(real)))
        loss = -torch.mean(real_scores) + torch.mean(fake_scores) + WEIGHT * penalty
        loss.backward()
        self.critic_optimizer.step()
        return loss.item()


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """The mean of (norm - 1)^2 at points between real and generated pictures."""
    between = (shares * real + (1 - shares) * fake).requires_grad_(True)
    scores = critic(between)
    (gradients,) = torch.autograd.grad(
        outputs=scores,
        inputs=between,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
    )
    norms = gradients.reshape(len(gradients), -1).norm(2, dim=1)
    return ((norms - 1) ** 2).mean()


class MLPGenerator(nn.Module):
    """The scripts' generator: 100-128-256-512-1024 and the picture, batch norm after all layers but the first.

    Args:
        shape: (C, H, W).
        eps: Of batch norm; many scripts have 0.8, where a momentum was meant.
    """

    def __init__(self, shape: tuple[int, ...], eps: float = 0.8) -> None:
        super().__init__()
        self.shape, layers = shape, list[Any]()
        for number, (a, b) in enumerate([(LATENT, 128), (128, 256), (256, 512), (512, 1024)]):
            norm = [nn.BatchNorm1d(b, eps)] if number else []
            layers += [nn.Linear(a, b), *norm, nn.LeakyReLU(0.2, inplace=True)]
        self.body = nn.Sequential(*layers, nn.Linear(1024, prod(shape)), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """Noise (N, 100) to pictures (N, C, H, W)."""
        return self.body(z).view(len(z), *self.shape)


class MLPCritic(nn.Sequential):
    """The scripts' critic: the picture, 512, 256, a score."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        activation = [nn.LeakyReLU(0.2, inplace=True) for _ in range(2)]
        layers = [nn.Linear(prod(shape), 512), activation[0], nn.Linear(512, 256), activation[1], nn.Linear(256, 1)]
        super().__init__(nn.Flatten(), *layers)
