"""The least that the numbers of a training may be."""

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

WHOLE = {
    *("batch", "latent", "critic_steps", "warmup_steps", "warmup_critic_steps", "catch_up"),
    *("steps", "tick", "samples", "n", "seed", "every"),
}


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
