"""Two sets of samples, wherever they come from, and the distance between them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from time import monotonic
from typing import Any, get_args

from torch import nn

from wgan.arrays import Floats
from wgan.data.objects import Items
from wgan.data.progress import Progress, quiet
from wgan.distances.discrete import TOLERANCE
from wgan.distances.estimate import FEWEST_FOR_NOISE, expected_seconds, null_size, with_error_and_null
from wgan.distances.memory import demand_samples, round_down
from wgan.distances.result import Estimate
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.measure import W1, measure
from wgan.measure.sides import FEWEST_SAMPLES
from wgan.model import Model
from wgan.options import READING
from wgan.registry import DISTANCES, lookup, no_such
from wgan.schedule import read_seconds
from wgan.sets import Split, open_both
from wgan.surroundings import undisturbed
from wgan.words import kind

CRITIC = "critic"
"""The method that is not a function of samples alone: :func:`wgan.measure.measure` trains for it."""

SECONDS = 15.0
"""How long `auto` lets exact transport compute, as far as that is foreseen."""

DRAWN = 4000
DRAWN_FOR_CRITICS = 60_000
"""Samples a side where both sides can be drawn from without end."""

OF_HISTOGRAMS = ("tv", "total-variation", "kl", "kullback-leibler", "js", "jensen-shannon", "cross-entropy", "emd")
"""What people call distances of probabilities, which are no methods for samples."""

_ENDLESS = "samplers are drawn from without end, which only critics can use."
_UNITS = {"energy": "the square root of the ", "mmd": "none, but relative to the median "}


@undisturbed
def distance(
    a: Any,
    b: Any,
    *,
    method: str = "auto",
    samples: int | None = None,
    seed: int = 0,
    split: Split = "all",
    time: str | None = None,
    steps: int | None = None,
    null: bool = False,
    progress: Progress = quiet,
    **given: Any,
) -> Estimate | W1:
    """Measure how far apart two sets of samples are.

    Args:
        a: What :func:`wgan.train` takes as data; vectors (N, D) or numbers (N,) as an array or tensor; a run or its
            folder; a generator or its ``generator.safetensors``; or, with a ``b`` of the same kind, a function
            ``(n, rng) -> samples (n, D)`` that draws from a distribution, its ``rng`` being a ``torch.Generator``.
        b: The same; its pictures are brought to the size and channels of those of ``a`` (or the other way round, if
            ``b`` is a generator).
        method: A name that ``wgan distance --help`` lists.
        samples: Use at most this many samples a side, chosen by the seed; by default all, as far as the method can. Of
            a generator or an endless set this many are drawn, by default as many as the other side has.
        seed: Chooses samples, and the parts into which they are cut to find the error.
        split: Which samples of a data set: "all", "train" or "held-out".
        time: How long critics are trained, as "90s", by default a minute; chooses the method "critic".
        steps: Steps of each of these critics instead, which makes it repeatable.
        null: Let it measure two halves of ``a`` too; the other methods always do.
        progress: Told what is being done, how much of it is, and of how much.
        **given: How to read the data: ``size``, ``channels``, ``fit``, ``value_range``, ``held_out``, ``data_dir``,
            ``follow_links`` and ``download``, as in :func:`wgan.train`.

    Returns:
        An :class:`~wgan.distances.result.Estimate`, or a :class:`~wgan.measure.W1` of the method "critic".

    Raises:
        UsageError: A name or a value is not allowed, or the shapes differ, or under "auto" both sides look like
            probabilities.
        WganError: A set cannot be read, or the method needs more memory than there is.
    """
    started = monotonic()
    spoken = ("method", method, "auto"), ("split", split, "all"), ("time", "90s" if time is None else time, "90s")
    for name, text, usual in spoken:
        if not isinstance(text, str):
            raise UsageError(f"{name} is {text!r}, but it must be text, such as {usual!r}.")
    check_numbers(seed=seed, **{name: n for name, n in {"samples": samples, "steps": steps}.items() if n is not None})
    seed, samples = int(seed), None if samples is None else int(samples)
    given = {name: value for name, value in given.items() if value is not None}
    trains = time is not None or steps is not None
    _check(method, split, given, trains)
    budget: dict[str, Any] = {"seconds": read_seconds(time) if time is not None else None, "steps": steps, "null": null}
    tell = _in_hundredths(progress)
    budget |= {"seed": seed, "progress": tell}
    why = DISTANCES[method].help if method in DISTANCES else "asked for."
    if _is_sampler(a) or _is_sampler(b):
        _check_samplers(method, samples, split, given)
        return replace(measure(a, b, **budget), why=_ENDLESS if method == "auto" else why)
    if method == "auto" and trains:
        method, why = CRITIC, "asked for, by a time or a number of steps to train."
    side_a, side_b = open_both(a, b, given, seed, split, progress)
    dim = math.prod(side_a.shape)
    drawn = {CRITIC: DRAWN_FOR_CRITICS, "auto": min(DRAWN, affordable(dim))}.get(method, DRAWN)
    n, m = _numbers(side_a.size, side_b.size, samples, drawn)
    if chosen := method == "auto":
        method, why = choose(n, m, dim)
    if method in ("quadrature", "debiased"):  # which hold sets of one size against each other
        n = m = min(n, m)
    demand_samples((n + m) * dim * (2 if method == CRITIC else 1))
    if method == CRITIC:
        trained = measure(side_a.take(n), side_b.take(m), **budget)
        return replace(trained, units=_units(side_a.shape), seconds=monotonic() - started, why=why)
    x, y = side_a.take(n), side_b.take(m)
    if chosen and dim == 1:
        _refuse_probabilities(x, y)
    found = with_error_and_null(lookup(DISTANCES, method, "method"), x, y, seed=seed, progress=tell)
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


def _in_hundredths(progress: Progress) -> Callable[[float], None]:
    return lambda share: progress("measuring", round(100 * share), 100)


def _is_sampler(source: Any) -> bool:
    """Whether it draws samples; a network or a type can be called too, but not for that."""
    return callable(source) and not isinstance(source, Model | Items | PathLike | nn.Module | type)


def _check_samplers(method: str, samples: int | None, split: str, given: Mapping[str, Any]) -> None:
    if method not in ("auto", CRITIC) or samples is not None or split != "all" or given:
        raise UsageError(
            'functions that draw samples are for method="critic", and take no number of samples, no split and no '
            "options of data; leave these out."
        )


def _check(method: str, split: str, given: Mapping[str, Any], trains: bool) -> None:
    for name in given:
        if name not in READING:
            raise UsageError(no_such("option", name, READING))
    if method not in ("auto", CRITIC, *DISTANCES):
        hint = " It is one of histograms: --histograms." if method.lower().replace("_", "-") in OF_HISTOGRAMS else ""
        raise UsageError("--method: " + no_such("method", method, ["auto", CRITIC, *DISTANCES]) + hint)
    if trains and method not in ("auto", CRITIC):
        raise UsageError(f"--time and --steps are for --method critic, and this is {method}; leave them out.")
    if split not in get_args(Split):
        raise UsageError("--split: " + no_such("value", split, get_args(Split)))
    if split == "all" and "held_out" in given:
        raise UsageError("--held-out: all samples are used, held out or not; choose with --split train or held-out.")


def _refuse_probabilities(x: Floats, y: Floats) -> None:
    """As samples, a vector of probabilities and the same in another order are at a distance of 0.

    Whole numbers may be samples of which one is 1 and all others are 0.

    Raises:
        UsageError: The single numbers (N, 1) and (M, 1) of each side sum to 1, none is negative, some are not whole.
    """
    for side in (x, y):
        if len(side) < 2 or side.min() < 0 or side.max() > 1 or not abs(side.sum() - 1) <= TOLERANCE:
            return
    if (x % 1).any() or (y % 1).any():
        raise UsageError(
            "both sides are numbers that sum to 1, as probabilities do: say --histograms (wgan.distances.discrete in "
            "Python), or --method line if they are samples."
        )


def _numbers(size_a: int | None, size_b: int | None, samples: int | None, otherwise: int) -> tuple[int, int]:
    """How many samples of each side to use; ``otherwise`` so many, if nothing else tells."""
    drawn = samples or size_a or size_b or otherwise
    n, m = size_a or drawn, size_b or drawn
    return (n, m) if samples is None else (min(n, samples), min(m, samples))


def _units(shape: tuple[int, ...]) -> str:
    if len(shape) == 1:
        return "Euclidean distance in the samples' own units"
    return f"Euclidean distance of {kind(shape)}, pixels from 0 to 1"


def affordable(dim: int) -> int:
    """The most samples a side for which exact transport answers in time, in a round number."""
    n = 100
    while expected_seconds(n + 100, dim) < SECONDS:
        n += 100
    return round_down(n)


def choose(n: int, m: int, dim: int) -> tuple[str, str]:
    """The method that suits so many samples, and why, in a sentence.

    Args:
        n: Samples of A.
        m: Samples of B.
        dim: Numbers in each sample.

    Returns:
        A name in ``wgan.registry.DISTANCES`` or ``"critic"``, and the reason.
    """
    if dim == 1:
        return "line", "single numbers are sorted, which solves their transport exactly."
    fewest, most = min(n, m), max(affordable(dim), FEWEST_SAMPLES - 1)  # of so few critics tell nothing
    if fewest < FEWEST_FOR_NOISE:
        return (
            "exact",
            f"the noise of fewer than {FEWEST_FOR_NOISE} samples a side cannot be told well enough to be removed.",
        )
    if fewest <= most:
        return (
            "quadrature",
            f"exact transport of {fewest:,} samples a side is affordable; their sampling noise is removed.",
        )
    needed = _duration(expected_seconds(fewest, dim))
    return (
        CRITIC,
        f"exact transport of {fewest:,} samples a side would take about {needed}; critics are trained instead.",
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
