"""The least, and the most, that the numbers of a training may be."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from wgan.errors import UsageError

AT_LEAST: Mapping[str, float] = {
    **dict.fromkeys(("size", "batch", "latent", "critic_steps", "warmup_critic_steps", "every"), 1),
    **dict.fromkeys(("steps", "tick", "threads", "processes", "n"), 1),
    **dict.fromkeys(("kimg", "epochs"), 1e-3),
    **dict.fromkeys(("weight", "warmup_steps", "ema_half_life", "instance_noise", "catch_up", "seed", "betas"), 0),
    **dict.fromkeys(("critic_lr", "generator_lr"), 0),
    "samples": 2,
    "held_out": 1e-6,
    "seconds": 1e-3,
}

AT_MOST: Mapping[str, int] = {"seed": 2**63 - 1}
"""Processes compare their seeds as numbers of 64 bits, and config.toml holds no larger ones."""

WHOLE = {
    *("batch", "latent", "critic_steps", "warmup_steps", "warmup_critic_steps", "catch_up"),
    *("steps", "tick", "samples", "n", "seed", "every"),
}


def check_numbers(**numbers: Any) -> None:
    """Refuse arguments that are no numbers, not finite, too small or too large.

    Raises:
        UsageError: One is.
    """
    for name, number in numbers.items():
        whole = name in WHOLE
        right = isinstance(number, Integral if whole else Real) and not isinstance(number, bool)
        most = AT_MOST.get(name)
        if not right or not AT_LEAST[name] <= number < math.inf or (most is not None and number > most):
            kind = "a whole number" if whole else "a finite number"
            below = "" if most is None else f" and at most {most}"
            raise UsageError(f"{name} is {number!r}; give {kind}, at least {AT_LEAST[name]:g}{below}.")
