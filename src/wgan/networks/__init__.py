"""Generators and critics by name: ``make_generator("dcgan", (3, 64, 64), Latent(128), width=64)``.

A family is a module with two functions, ``generator(shape, latent, *, ...)`` and ``critic(shape, *, ...)``,
and a line in :data:`wgan.registry.NETWORKS`. Its keyword arguments are the options it takes.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from wgan import registry
from wgan.errors import UsageError
from wgan.networks.base import Critic, Generator, Latent, describe

__all__ = ["Critic", "Generator", "Latent", "complete_options", "make_critic", "make_generator", "resolve_family"]


def make_generator(family: str, shape: tuple[int, ...], latent: Latent | int, **options: Any) -> Generator:
    """Make a generator of a family.

    Args:
        family: A name in :data:`wgan.registry.NETWORKS`, or ``"auto"``.
        shape: Of one sample: (C, H, W) for pictures, (D,) for vectors.
        latent: The noise it maps, or how many normal numbers it is.
        **options: Fields of :class:`wgan.config.GeneratorConfig`; None is the family's default.

    Raises:
        UsageError: The family or an option is unknown, or a value is impossible.
    """
    noise = latent if isinstance(latent, Latent) else Latent(latent)
    made: Generator = _make("generator", family, (shape, noise), options)
    return made


def make_critic(family: str, shape: tuple[int, ...], **options: Any) -> Critic:
    """Make a critic of a family.

    Args:
        family: A name in :data:`wgan.registry.NETWORKS`, or ``"auto"``.
        shape: Of one sample: (C, H, W) for pictures, (D,) for vectors.
        **options: Fields of :class:`wgan.config.CriticConfig`; None is the family's default.

    Raises:
        UsageError: The family or an option is unknown, or a value is impossible.
    """
    made: Critic = _make("critic", family, (shape,), options)
    return made


def complete_options(family: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A generator's options with its family's defaults filled in, for a file that outlives them."""
    make = registry.lookup(registry.NETWORKS, family, "network family").generator
    taken = {p.name: p.default for p in signature(make).parameters.values() if p.kind is Parameter.KEYWORD_ONLY}
    if options.get("widths") is not None:
        taken.pop("width", None)
    return taken | {name: value for name, value in options.items() if value is not None}


def resolve_family(family: str, shape: tuple[int, ...]) -> str:
    """The family that ``"auto"`` stands for: dcgan for pictures, mlp for vectors. Other names stay."""
    if family != "auto":
        return family
    return "mlp" if len(shape) == 1 else "dcgan"


def _make(role: str, family: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    shape: tuple[int, ...] = arguments[0]
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise UsageError(
            f"samples of shape ({describe(shape)}) have no network: give (C, H, W) or (D,), all at least 1."
        )
    family = resolve_family(family, shape)
    make = getattr(registry.lookup(registry.NETWORKS, family, "network family"), role)
    given = {name: value for name, value in options.items() if value is not None}
    try:
        _check_options(make, given)
        return make(*arguments, **given)
    except UsageError as error:
        raise UsageError(f"{role} ({family}): {error}") from None


def _check_options(make: Callable[..., Any], given: Mapping[str, Any]) -> None:
    taken = [p.name for p in signature(make).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    for name in given:
        if name not in taken:
            raise UsageError(f"option {name!r} is not for this network: it takes {', '.join(taken)}.")
    if "width" in given and "widths" in given:
        raise UsageError("width and widths are both given: leave one of them out.")
