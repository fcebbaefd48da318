"""The least, and the most, that the numbers of a training may be."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from wgan.errors import UsageError

AT_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("size", "batch", "latent", "critic_steps", "warmup_critic_steps", "every"), 1),
    **dict.fromkeys(("steps", "tick", "threads", "processes", "n", "number"), 1),
    **dict.fromkeys(("kimg", "epochs"), 1e-3),
    **dict.fromkeys(("weight", "warmup_steps", "ema_half_life", "instance_noise", "catch_up", "seed", "betas"), 0),
    **dict.fromkeys(("critic_lr", "generator_lr"), 0),
    "samples": 2,
    "held_out": 1e-6,
    "seconds": 1e-3,
}

AT_MOST: Mapping[str, int] = {"seed": 2**63 - 1, "threads": 512, "processes": 512}
"""Processes compare their seeds as numbers of 64 bits, and config.toml holds no larger ones."""

WHOLE = {
    *("batch", "latent", "critic_steps", "warmup_steps", "warmup_critic_steps", "catch_up"),
    *("steps", "tick", "samples", "n", "seed", "every"),
}


def complaint(name: str, number: Any) -> str | None:
    """What is wrong with the number of this name, to be said after the name and a colon; None if it is right."""
    if name not in AT_LEAST:
        return None
    whole = name in WHOLE
    right = isinstance(number, Integral if whole else Real) and not isinstance(number, bool)
    if not right or not -math.inf < number < math.inf:
        return f"{number!r} is not a {'whole' if whole else 'finite'} number."
    if number < AT_LEAST[name]:
        return f"{number} is too small; at least {AT_LEAST[name]:g} is allowed."
    if name in AT_MOST and number > AT_MOST[name]:
        return f"{number} is too large; at most {AT_MOST[name]} is allowed."
    return None


def check_numbers(**numbers: Any) -> None:
    """Refuse arguments that are no numbers, not finite, too small or too large.

    Raises:
        UsageError: One is.
    """
    for name, number in numbers.items():
        if wrong := complaint(name, number):
            raise UsageError(f"{name}: {wrong}")
