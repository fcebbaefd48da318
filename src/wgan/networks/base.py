r"""The two players and the noise: what every family returns, whatever is inside.

A generator maps noise to data, :math:`g: \mathbb{R}^L \to \mathbb{R}^{C \times H \times W}`; a critic
scores data, :math:`f: \mathbb{R}^{C \times H \times W} \to \mathbb{R}`, real high and fake low.
Invariants: latents have shape (N, L), samples (N, *shape), scores (N,), and scores are never computed in
less than float32.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor, nn

from wgan.config import LatentKind
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.networks.memory import Head
from wgan.registry import unknown

LATENT_KINDS = get_args(LatentKind)


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
            raise UsageError(unknown("latent kind", self.kind, LATENT_KINDS))

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


def latent_of(generator: nn.Module, given: Latent | None) -> Latent:
    """The noise that a generator takes: as given, or its own attribute ``latent`` (a :class:`Latent` or a number).

    Raises:
        UsageError: Neither is there.
    """
    found = getattr(generator, "latent", None) if given is None else given
    if isinstance(found, Integral):
        return Latent(int(found))
    if not isinstance(found, Latent):
        raise UsageError("the generator has no attribute `latent`; give Trainer(..., latent=Latent(size)).")
    return found


class Generator(nn.Module):
    """Noise in, data out.

    Args:
        body: Maps (N, L) to (N, ...) with as many numbers a sample as ``shape`` has.
        latent: The noise it expects.
        shape: Of one sample: (C, H, W) or (D,).
        settled: Options that its family chose, for a file that outlives the family's own choice.
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


def twin(module: Module) -> Module:
    """A copy of a module, whatever it keeps of its last pass.

    PyTorch copies no tensor that has a history, such as an activation that a module of a user's own keeps, or the
    weight that the older ``spectral_norm`` and ``weight_norm`` compute anew at each pass. The copy has them without it.
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


def check_trainable(module: nn.Module, name: str) -> None:
    """Refuse a network that nothing can be learnt by.

    Raises:
        UsageError: It has no weights, or all of them are frozen, or one is complex, for which constraints, averages
            and all-reduces are not made, or narrower than float32, in which small steps and averages are lost.
    """
    if not any(weight.requires_grad for weight in module.parameters()):
        raise UsageError(f"the {name} has no weights to train; give it some, or let some have requires_grad=True.")
    if any(weight.is_complex() for weight in module.parameters()):
        raise UsageError(f"the {name} has complex weights; keep them as pairs of real numbers (torch.view_as_complex).")
    if any(weight.requires_grad and torch.finfo(weight.dtype).bits < 32 for weight in module.parameters()):
        raise UsageError(
            f"the {name} has weights narrower than float32, whose small steps are lost; keep them float32, and say "
            "precision=torch.bfloat16."
        )


def samples_of(made: Any, n: int) -> Tensor:
    """What a generator gave for the noise of n samples.

    Raises:
        UsageError: It is not a tensor of n samples.
    """
    if not isinstance(made, Tensor):
        raise UsageError(f"the generator gave a {type(made).__name__}; it must give a tensor of samples (N, ...).")
    if made.dim() < 2 or len(made) != n:
        raise UsageError(
            f"the generator gave {tuple(made.shape)} from {n} latents; it must give ({n}, D) or ({n}, C, H, W)."
        )
    return made


def check_same_shape(made: Tensor, wanted: Tensor) -> None:
    """Refuse generated samples that are not shaped like the data.

    Raises:
        UsageError: They are not.
    """
    shapes = tuple(made.shape[1:]), tuple(wanted.shape[1:])
    if shapes[0] != shapes[1]:
        remedy = ""
        if len(shapes[0]) == len(shapes[1]) == 3 and shapes[0][0] in (1, 3, 4):
            options = f"size={shapes[0][1:]}, channels={shapes[0][0]}"
            remedy = f": open pictures with wgan.open_data(data, wgan.DataConfig({options}))"
        raise UsageError(
            f"the generator makes samples of shape {shapes[0]}, but the data were opened as {shapes[1]}; they must "
            f"agree{remedy}."
        )


def flat_scores(scores: Tensor, n: int) -> Tensor:
    """A critic's scores of n samples as (N,).

    Raises:
        UsageError: They are not one number a sample.
    """
    if not isinstance(scores, Tensor):
        raise UsageError(f"the critic gave a {type(scores).__name__}; it must give a tensor of scores, (N,) or (N, 1).")
    if scores.numel() != n:
        raise UsageError(
            f"the critic gave scores of shape {tuple(scores.shape)} for {n} samples; "
            "it must give one number a sample, (N,) or (N, 1)."
        )
    return scores.flatten()
