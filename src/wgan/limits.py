"""The least that the numbers of a training may be."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from wgan.errors import UsageError

AT_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("size", "batch", "latent", "critic_steps", "warmup_critic_steps", "every"), 1),
    **dict.fromkeys(("steps", "tick", "threads", "processes"), 1),
    **dict.fromkeys(("kimg", "epochs"), 1e-3),
    **dict.fromkeys(("weight", "warmup_steps", "ema_half_life", "instance_noise", "catch_up", "seed", "betas"), 0),
    **dict.fromkeys(("critic_lr", "generator_lr"), 0),
    "held_out": 1e-6,
}

WHOLE = {"batch", "critic_steps", "catch_up", "seed", "steps", "tick"}


def check_numbers(**numbers: Any) -> None:
    """Refuse arguments that are no numbers, not finite or too small.

    Raises:
        UsageError: One is.
    """
    for name, number in numbers.items():
        whole = name in WHOLE
        right = isinstance(number, Integral if whole else Real) and not isinstance(number, bool)
        if not right or not AT_LEAST[name] <= number < math.inf:
            kind = "a whole number" if whole else "a finite number"
            raise UsageError(f"{name} is {number!r}; give {kind}, at least {AT_LEAST[name]:g}.")


def check_seed(seed: Any) -> None:
    """Refuse what random streams cannot be made of.

    Raises:
        UsageError: It is not a whole number, or below 0.
    """
    if not isinstance(seed, Integral) or seed < 0:
        raise UsageError(f"--seed: {seed!r} is not a seed; give a whole number, at least 0.")
