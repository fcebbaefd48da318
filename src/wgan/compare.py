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
from wgan.distances.estimate import CRITIC, Estimate, affordable, choose, null_size, with_error_and_null
from wgan.distances.memory import demand_samples
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.measure import W1, measure
from wgan.model import Model
from wgan.registry import DISTANCES, lookup, unknown
from wgan.schedule import read_seconds
from wgan.sets import Split, open_both
from wgan.words import clock, count, digits, kind, with_error

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

    Args:
        a: What :func:`wgan.open_data` opens, an array or tensor of vectors (N, D) or numbers (N,), a run or its folder,
            a generator or its ``generator.safetensors``; or a sampler, if b is one (see :func:`wgan.measure.measure`).
        b: Likewise. Its pictures are brought to the size and channels of a's (or the other way round, if b is a
            generator).
        reading: How to read data, as far as a person says so: names of ``wgan.options.READING`` and values.
        method: A name in ``wgan.registry.DISTANCES``, "critic", or "auto".
        samples: Use at most this many samples a side, chosen by the seed; by default all. Of a generator or an endless
            set this many are drawn, by default as many as the other side has; the two sides draw different ones.
        seed: Chooses samples, halves and groups.
        split: Which samples of a data set: all, those to train on, or those held out.
        time: How long "critic" takes, as "90s"; by default a minute.
        steps: Steps of each of its critics instead, which makes it repeatable.
        null: Whether "critic" measures two halves of A too; the others always do.
        progress: Told how far the reading is.

    Raises:
        UsageError: A name or value is not allowed, or the two sets are of different shapes.
        WganError: A set cannot be read, or the method needs more memory than there is.
    """
    started = monotonic()
    for name, text in {"method": method, "split": split, "time": "" if time is None else time}.items():
        if not isinstance(text, str):
            raise UsageError(f"{name} is {text!r}, but it must be text.")
    check_numbers(seed=seed, **{name: n for name, n in {"samples": samples, "steps": steps}.items() if n is not None})
    seed, samples = int(seed), None if samples is None else int(samples)
    given = {name: value for name, value in reading.items() if value is not None}
    _check(method, split, given)
    budget: dict[str, Any] = {"seconds": read_seconds(time) if time is not None else None, "steps": steps, "null": null}
    budget |= {"seed": seed, "progress": lambda share: progress("measuring, %", round(100 * share), 100)}
    if _is_sampler(a) or _is_sampler(b):
        if method not in ("auto", CRITIC) or samples is not None or split != "all" or given:
            raise UsageError(
                "functions that draw samples go with the method critic, and without a number of samples, a split or "
                "options of data."
            )
        return measure(a, b, **budget)
    side_a, side_b = open_both(a, b, given, seed, split, progress)
    dim = math.prod(side_a.shape)
    drawn = {CRITIC: DRAWN_FOR_CRITICS, "auto": min(DRAWN, affordable(dim))}.get(method, DRAWN)
    n, m = _numbers(side_a.size, side_b.size, samples, drawn)
    why = DISTANCES[method].help if method in DISTANCES else "asked for."
    if method == "auto":
        method, why = choose(n, m, dim)
    if method in ("quadrature", "debiased"):  # which hold sets of one size against each other
        n = m = min(n, m)
    demand_samples((n + m) * dim * (2 if method == CRITIC else 1))
    if method == CRITIC:
        trained = measure(side_a.take(n), side_b.take(m), **budget)
        return replace(trained, units=_units(side_a.shape), seconds=monotonic() - started, why=why)
    if time is not None or steps is not None:
        raise UsageError(f"--time and --steps are for --method critic, and this is {method}; leave them out.")
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


def lines(found: Estimate | W1) -> str:
    """A distance as lines of text for a person."""
    table = _critic_lines(found) if isinstance(found, W1) else _estimate_lines(found)
    table |= {
        "units": found.units,
        "time": clock(found.seconds) if found.seconds >= 60 else f"{found.seconds:.1f} seconds",
    }
    return "\n".join(f"{name:10}{text}" for name, text in table.items())


def _estimate_lines(found: Estimate) -> dict[str, str]:
    few = "unknown: too few samples"
    value, error = with_error(found.value, found.standard_error), found.standard_error
    if found.value < 0:
        made = "samples of one side are those of the other, or made from them, in another order or number"
        by_chance = error is None or found.value > -5 * error
        value += ": below 0, " + (
            "so it is not told from the samples' noise"
            if by_chance
            else f"by more than noise: {made}; give both in one order, or use --method exact"
        )
    doubt = {}
    if found.least is not None and found.most:
        ends = "the first if only a few samples differ; the second has the samples' noise in it"
        doubt = {"range": f"{digits(max(0.0, found.least), error)} to {digits(found.most, error)}: {ends}"}
        if found.moments is not None and max(found.value, 0.0) + 2 * (error or 0.0) < found.moments < found.most:
            demanded = "what means and covariances demand if all samples move alike; too large if only a few differ"
            doubt |= {"moments": f"{digits(found.moments, error)}: {demanded}"}
    return {
        "distance": value if error is not None else f"{value} (error {few})",
        **doubt,
        "null": few
        if found.null is None
        else f"{found.null:.3g} (two disjoint parts of A give this, by chance: {found.null_n:,} each)",
        "method": f"{found.method}: {found.why}",
        "samples": f"{found.n:,} of A and {found.m:,} of B, {count(found.dim, 'number')} each",
    }


def _critic_lines(found: W1) -> dict[str, str]:
    (low, high), error = found.interval, found.standard_error
    verdict = "conclusive" if found.conclusive else "INCONCLUSIVE"
    overfit = max(0.0, min(found.gap, found.train))
    more = "" if found.converged else "; it was still rising: give it longer"
    slopes = f"slope at most {found.lipschitz_certified:.6f}, {found.lipschitz_observed:.4f} seen"
    parts = "two disjoint parts of A differ by this at most"
    null = {} if found.null is None else {"null": f"{found.null:.3g} ({parts})"}
    return {
        "distance": f"{with_error(found.wasserstein, found.standard_error)}, {verdict}",
        "interval": f"{digits(low, error)} to {digits(high, error)} (90 %)",
        "at least": f"{digits(max(0.0, found.lower_bound), error)}, certified (by a critic with {slopes})",
        **null,
        "evidence": f"critic {found.critic:.3g}, transport less noise {found.transport:.3g}, "
        f"means and covariances {found.moments:.3g}{more}",
        "overfit": f"{overfit:.3g} of {found.train:.3g} that the critic sees in the samples it was trained on",
        "method": f"{found.method}: {found.why}",
        "samples": "drawn without end"
        if found.n is None
        else f"{found.n:,} of A and {found.m:,} of B, {count(found.dim, 'number')} each; {found.steps:,} critic steps",
    }


def _is_sampler(source: Any) -> bool:
    """Whether it draws samples; a network or a type can be called too, but not for that."""
    return callable(source) and not isinstance(source, Model | Items | PathLike | nn.Module | type)


def _check(method: str, split: str, given: Mapping[str, Any]) -> None:
    if method not in ("auto", CRITIC, *DISTANCES):
        raise UsageError("--method: " + unknown("method", method, ["auto", CRITIC, *DISTANCES]))
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
