"""What networks give, anybody's too: samples and scores of the right shape, and the noise that they come from."""

from numbers import Integral
from typing import Any

from torch import Tensor, nn

from wgan.errors import UsageError
from wgan.networks import Latent


def latent_of(generator: nn.Module, given: Latent | None) -> Latent:
    """The noise that a generator takes: as given, or its own attribute ``latent`` (a :class:`Latent` or a number).

    Raises:
        UsageError: Neither is there.
    """
    found = getattr(generator, "latent", None) if given is None else given
    if isinstance(found, Integral):
        return Latent(int(found))
    if not isinstance(found, Latent):
        told = "the generator has no attribute `latent`" if found is None else f"the latent is {found!r}"
        raise UsageError(f"{told}; give Trainer(..., latent=Latent(size)).")
    return found


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
