r"""The two players and the noise: what every family returns, whatever is inside.

A generator maps noise to data, :math:`g: \mathbb{R}^L \to \mathbb{R}^{C \times H \times W}`; a critic
scores data, :math:`f: \mathbb{R}^{C \times H \times W} \to \mathbb{R}`, real high and fake low.
Invariants: latents have shape (N, L), samples (N, *shape), scores (N,), and scores are never computed in
less than float32.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor, nn

from wgan.config import LatentKind
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.networks.channels_last import Head
from wgan.registry import no_such
from wgan.seeds import rng

LATENT_KINDS = get_args(LatentKind)
_BLOCK = 64


Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Latent:
    """The noise that a generator maps to data.

    Args:
        size: How many numbers a draw has, L.
        kind: ``"normal"`` for N(0, 1), ``"uniform"`` for U(-1, 1), ``"unit"`` for U(0, 1).

    Raises:
        UsageError: The size is below 1 or the kind is unknown.
    """

    size: int = 128
    kind: str = "normal"

    def __post_init__(self) -> None:
        check_numbers(latent=self.size)
        if self.kind not in LATENT_KINDS:
            raise UsageError(no_such("latent kind", self.kind, LATENT_KINDS))

    @property
    def mean(self) -> float:
        """The mean of its numbers."""
        return 0.5 if self.kind == "unit" else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of its numbers."""
        return {"normal": 1.0, "uniform": 3**-0.5, "unit": 12**-0.5}[self.kind]

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw ``n`` latents, the same ones for the same state of ``rng``.

        Args:
            n: How many.
            rng: A generator on the CPU; it advances.

        Returns:
            Float32 of shape (n, size), on the CPU.
        """
        if self.kind == "normal":
            return torch.randn(n, self.size, device="cpu", generator=rng, dtype=torch.float32)
        unit = torch.rand(n, self.size, device="cpu", generator=rng, dtype=torch.float32)
        return unit if self.kind == "unit" else unit * 2 - 1

    def blocks(self, n: int, seed: int) -> Iterator[Tensor]:
        """The latents of ``n`` samples of a seed, in blocks (64, size): the last may hold more than are asked for.

        Drawn and computed whole, a sample depends on its seed and number alone, and not on how many there are.

        Raises:
            UsageError: ``n`` is below 1, or the seed is not allowed.
        """
        check_numbers(n=n, seed=seed)
        return (self.draw(_BLOCK, rng(seed, "sample", number)) for number in range(-(-n // _BLOCK)))


class Generator(nn.Module):
    """Noise in, data out.

    Args:
        body: Maps (N, L) to (N, ...) with as many numbers a sample as ``shape`` has.
        latent: The noise it expects.
        shape: Of one sample: (C, H, W) or (D,).
        settled: Options that its family chose; saved with the weights, so that later changes of the family's defaults
            do not matter.
    """

    def __init__(
        self, body: nn.Module, latent: Latent, shape: tuple[int, ...], settled: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.settled = dict(settled or {})
        self.body = body
        self.latent = latent
        self.shape = shape

    def forward(self, z: Tensor) -> Tensor:
        """Latents (N, L) to samples (N, *shape), in the latents' dtype even if the body runs in bfloat16."""
        samples: Tensor = self.body(z)
        return samples.to(z.dtype).reshape(z.shape[0], *self.shape)

    def extra_repr(self) -> str:
        """The line at the top of ``repr``: from where to where, and how large."""
        return f"{self.latent.kind} ({self.latent.size}) -> {describe(self.shape)}, {parameters(self):,} parameters"


class Critic(nn.Module):
    r"""Data in, one score a sample out: :math:`f(x) = \langle w, \phi(x) \rangle + b`.

    The last layer runs in its own weights' precision, float32 unless you convert it, also under
    ``torch.autocast``: the Wasserstein estimate is a small difference of means of scores, and bfloat16
    keeps only eight bits of each.

    Args:
        features: Maps x to (N, ...) with ``width`` numbers a sample, :math:`\phi`.
        width: How many numbers that is.
        shape: Of one sample: (C, H, W) or (D,).
    """

    def __init__(self, features: nn.Module, width: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.features = features
        self.head = Head(width, 1)
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Samples (N, *shape) to scores (N,)."""
        features: Tensor = self.features(x)
        features = features if isinstance(self.head, Head) else features.flatten(1)
        with torch.autocast(x.device.type, enabled=False):
            # The bias tells the dtype, for reading a weight under spectral norm takes a power iteration.
            scores: Tensor = self.head(features.to(self.head.bias.dtype))
        return scores.squeeze(1)

    def extra_repr(self) -> str:
        """The line at the top of ``repr``: from where to where, and how large."""
        return f"{describe(self.shape)} -> score, {parameters(self):,} parameters"


def describe(shape: tuple[int, ...]) -> str:
    """A shape as people write it: ``3x64x48``, or ``2`` for a vector."""
    return "x".join(map(str, shape))


def parameters(module: nn.Module) -> int:
    """The number of a network's parameters."""
    return sum(weight.numel() for weight in module.parameters())


def detached_copy(module: Module) -> Module:
    """A copy of a module, whatever it keeps of its last pass.

    PyTorch copies no tensor that has a history, such as an activation that a module of a user's own keeps, or the
    weight that the older ``spectral_norm`` and ``weight_norm`` compute again at each pass. The copy has no history.
    """
    kept = [tensor for part in module.modules() for tensor in _tensors(vars(part)) if not tensor.is_leaf]
    return copy.deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in kept})


def _tensors(value: object) -> Iterator[Tensor]:
    """All tensors in a value, and in the dictionaries, lists and tuples that it is made of."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)
