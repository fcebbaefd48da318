"""Two sets of samples, wherever they come from, and the distance between them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from time import monotonic
from typing import Any, get_args

from torch import nn

from wgan.data.objects import Items
from wgan.data.progress import Progress, quiet
from wgan.distances.estimate import CRITIC, affordable, choose, null_size, with_error_and_null
from wgan.distances.memory import demand_samples
from wgan.distances.result import Estimate
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.measure import W1, measure
from wgan.model import Model
from wgan.registry import DISTANCES, lookup, unknown
from wgan.schedule import read_seconds
from wgan.sets import Split, open_both
from wgan.words import kind

DRAWN = 4000
DRAWN_FOR_CRITICS = 60_000
"""Samples a side where both sides can be drawn from without end."""

_UNITS = {"energy": "the square root of the ", "mmd": "none, but relative to the median "}


def compare(
    a: Any,
    b: Any,
    reading: Mapping[str, Any],
    *,
    method: str = "auto",
    samples: int | None = None,
    seed: int = 0,
    split: Split = "all",
    time: str | None = None,
    steps: int | None = None,
    null: bool = False,
    progress: Progress = quiet,
) -> Estimate | W1:
    """Measure the distance between two sets of samples.

    Args, answers and errors are those of :func:`wgan.distance`, but for:

    Args:
        reading: How to read data, as far as a person says so: names of ``wgan.options.READING`` and values.
        progress: Told how far the reading is.
    """
    started = monotonic()
    for name, text in {"method": method, "split": split, "time": "" if time is None else time}.items():
        if not isinstance(text, str):
            raise UsageError(f"{name} is {text!r}, but it must be text.")
    check_numbers(seed=seed, **{name: n for name, n in {"samples": samples, "steps": steps}.items() if n is not None})
    seed, samples = int(seed), None if samples is None else int(samples)
    given = {name: value for name, value in reading.items() if value is not None}
    trains = time is not None or steps is not None
    _check(method, split, given, trains)
    budget: dict[str, Any] = {"seconds": read_seconds(time) if time is not None else None, "steps": steps, "null": null}
    budget |= {"seed": seed, "progress": lambda share: progress("measuring, %", round(100 * share), 100)}
    if _is_sampler(a) or _is_sampler(b):
        if method not in ("auto", CRITIC) or samples is not None or split != "all" or given:
            raise UsageError(
                'functions that draw samples are for method="critic", and take no number of samples, no split and no '
                "options of data; leave these out."
            )
        return measure(a, b, **budget)
    why = DISTANCES[method].help if method in DISTANCES else "asked for."
    if method == "auto" and trains:
        method, why = CRITIC, "asked for, by a time or a number of steps to train."
    side_a, side_b = open_both(a, b, given, seed, split, progress)
    dim = math.prod(side_a.shape)
    drawn = {CRITIC: DRAWN_FOR_CRITICS, "auto": min(DRAWN, affordable(dim))}.get(method, DRAWN)
    n, m = _numbers(side_a.size, side_b.size, samples, drawn)
    if method == "auto":
        method, why = choose(n, m, dim)
    if method in ("quadrature", "debiased"):  # which hold sets of one size against each other
        n = m = min(n, m)
    demand_samples((n + m) * dim * (2 if method == CRITIC else 1))
    if method == CRITIC:
        trained = measure(side_a.take(n), side_b.take(m), **budget)
        return replace(trained, units=_units(side_a.shape), seconds=monotonic() - started, why=why)
    found = with_error_and_null(lookup(DISTANCES, method, "method"), side_a.take(n), side_b.take(m), seed=seed)
    return Estimate(
        **found._asdict(),
        null_n=None if found.null is None else null_size(n, m),
        method=method,
        n=n,
        m=m,
        dim=dim,
        units=_UNITS.get(method, "") + _units(side_a.shape),
        seconds=monotonic() - started,
        why=why,
    )


def _is_sampler(source: Any) -> bool:
    """Whether it draws samples; a network or a type can be called too, but not for that."""
    return callable(source) and not isinstance(source, Model | Items | PathLike | nn.Module | type)


def _check(method: str, split: str, given: Mapping[str, Any], trains: bool) -> None:
    if method not in ("auto", CRITIC, *DISTANCES):
        raise UsageError("--method: " + unknown("method", method, ["auto", CRITIC, *DISTANCES]))
    if trains and method not in ("auto", CRITIC):
        raise UsageError(f"--time and --steps are for --method critic, and this is {method}; leave them out.")
    if split not in get_args(Split):
        raise UsageError("--split: " + unknown("value", split, get_args(Split)))
    if split == "all" and "held_out" in given:
        raise UsageError("--held-out: all samples are used, held out or not; choose with --split train or held-out.")


def _numbers(size_a: int | None, size_b: int | None, samples: int | None, otherwise: int) -> tuple[int, int]:
    """How many samples of each side to use; ``otherwise`` so many, if nothing else tells."""
    drawn = samples or size_a or size_b or otherwise
    n, m = size_a or drawn, size_b or drawn
    return (n, m) if samples is None else (min(n, samples), min(m, samples))


def _units(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "Euclidean distance in the samples' own units"
    return f"Euclidean distance of {kind(shape)}, pixels from 0 to 1"
