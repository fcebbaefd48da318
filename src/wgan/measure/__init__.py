"""W1 between two sets of samples, by critics trained for nothing else, with a bound that may be believed.

:func:`measure` cuts each set into parts. Exact transport of samples, less their noise, gives one estimate. A *free*
critic, held by a penalty, gives another, divided by its slope and freed of what it memorised with the help of
samples that it has not seen. A *certified* critic gives a lower bound, on samples used for nothing else: its difference
of means less 3.09 standard errors (more where samples are few), over an upper bound of its Lipschitz constant.
:mod:`wgan.measure.verdict` weighs the two estimates.

References:
    Wasserstein GAN (Arjovsky, Chintala, Bottou, 2017), https://arxiv.org/abs/1701.07875
    Kantorovich Strikes Back! (Korotin, Kolesov, Burnaev, 2022), https://arxiv.org/abs/2206.07767
"""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from wgan.certificate import certify, observed
from wgan.confidence import lower_bound
from wgan.distances.estimate import NINETY, null_size
from wgan.distances.samples import COPIES, by_content, halves, rows
from wgan.errors import UsageError
from wgan.limits import check_numbers
from wgan.machine.crowd import Crowd
from wgan.measure.critics import SLOPES, Fitted, ShareDone, difference, fit_certified, fit_free, scores
from wgan.measure.moves import root_with_error, transported
from wgan.measure.sides import FEWEST_SAMPLES, Sides, open_sides
from wgan.measure.verdict import Opinion, between, combine
from wgan.schedule import Budget
from wgan.seeds import rng
from wgan.surroundings import undisturbed, unrounded
from wgan.words import as_table, count, digits, with_error

SHARES = {"transport": 0.25, "free": 0.5, "certified": 0.25}
"""Of the time."""

FEWEST_STEPS = 40
"""Before them a critic has hardly begun, and looks as if it stood still, for its rates fall all the same."""

FLATTEST = 1e-6
"""A critic's slope below which it says nothing at all."""


@dataclass(frozen=True)
class W1:
    r"""The Wasserstein distance of two distributions, and what is needed to believe it, in the samples' units.

    Attributes:
        wasserstein: The best estimate.
        interval: Where the truth is meant to be in 90 % of cases; docs/research/w1.md has where it was.
        conclusive: Whether these samples, in this time, can tell; if not, the interval is wide.
        lower_bound: W1 is at least this, but for one case in a thousand, if the mean of as many scores as there are
            samples is normal: of 33 skewed scores a side, as 200 samples leave for it, it fails in up to one case in
            80, and extremes rarer than one in so many samples break it. Nor is it so for samples that are not
            independent, and copies are not told from equal draws of discrete data: where they are more than a fifth,
            the critic was trained on what it is measured on, and the bound is 0.
        standard_error: Of ``wasserstein``: from the choice of samples, where the errors of critic and transport, which
            look at the same samples, are taken to go together; and from how far these two disagree, for what training
            adds shows there.
        train: The free critic's difference of means on samples that it was trained on, over its slope, or 1 if that is
            less.
        gap: ``train`` less the same on samples that it has not seen.
        critic: The free critic's estimate: the geometric mean of ``train`` and what it says of samples that it has not
            seen; lower where part of the mass stays.
        transport: The estimate of exact transport, less noise, and lower where part of the mass stays.
        moments: What means and covariances demand of a distance whose mass moves as evenly as it may; an estimate that
            is well below has missed something.
        lipschitz_certified: Upper bound of the certified critic's Lipschitz constant.
        lipschitz_observed: The largest slope seen of it, not a bound.
        copies: The share of samples that repeat another one of their side, of the side where it is larger; 0 if they
            were drawn without end, or are a single point.
        null: What ``wasserstein`` is at most, in 95 % of cases, where both sides are one distribution: with
            :math:`w \pm e` between two halves of A, each of at most as many samples as B has, e from the choice of
            samples alone, it is :math:`w + 1.645 \sqrt 2 \max(e, w/2)`, a rough upper limit. None unless asked for.
        converged: Whether the free critic had stopped finding more; never of fewer than 40 steps.
        steps: Steps of both critics.
        seconds: What it took.
        method: "critic".
        dim: Numbers in each sample.
        n: Samples of A, None if they were drawn without end.
        m: Samples of B, None if they were drawn without end.
        units: What distances are measured in.
        why: Why this method, in a sentence.
    """

    wasserstein: float
    interval: tuple[float, float]
    conclusive: bool
    lower_bound: float
    standard_error: float
    train: float
    gap: float
    critic: float
    transport: float
    moments: float
    lipschitz_certified: float
    lipschitz_observed: float
    copies: float
    null: float | None
    converged: bool
    steps: int
    seconds: float
    method: str
    dim: int
    n: int | None
    m: int | None
    units: str = "Euclidean distance in the samples' own units"
    why: str = "asked for."

    @property
    def value(self) -> float:
        """``wasserstein``, under the name that all distances share."""
        return self.wasserstein

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, and ``value``."""
        return {"value": self.value, **asdict(self)}

    def __str__(self) -> str:
        return as_table(self._rows(), self.units, self.seconds)

    def _rows(self) -> dict[str, str]:
        (low, high), error = self.interval, self.standard_error
        verdict = "conclusive" if self.conclusive else "INCONCLUSIVE"
        overfit = max(0.0, min(self.gap, self.train))
        more = "" if self.converged else "; it was still rising: give it longer"
        slopes = f"slope at most {self.lipschitz_certified:.6f}; {self.lipschitz_observed:.4f} observed, not a bound"
        parts = "two disjoint parts of A differ by this at most, in 95 % of cases"
        null = {} if self.null is None else {"null": f"{self.null:.3g} ({parts})"}
        return {
            "distance": f"{with_error(self.wasserstein, self.standard_error)}, {verdict}",
            "interval": f"{digits(low, error)} to {digits(high, error)} (90 %{'' if self.conclusive else ' or more'})",
            "at least": f"{digits(max(0.0, self.lower_bound), error)}, certified (by a critic with {slopes})"
            if self.copies <= COPIES
            else f"0: no bound, for {self.copies:.0%} of a side's samples are copies; remove them if they are no draws",
            **null,
            "evidence": f"critic {self.critic:.3g}, transport less noise {self.transport:.3g}, "
            f"means and covariances {self.moments:.3g}{more}",
            "overfit": f"{overfit:.3g} of {self.train:.3g} that the critic sees in the samples it was trained on",
            "method": f"{self.method}: {self.why}",
            "samples": "drawn without end"
            if self.n is None
            else f"{self.n:,} of A and {self.m:,} of B, {count(self.dim, 'number')} each; {self.steps:,} critic steps",
        }


@undisturbed
@unrounded
def measure(
    a: Any,
    b: Any,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    null: bool = False,
    progress: ShareDone = lambda share: None,
) -> W1:
    """Measure W1 between two sets of samples, or between two distributions that can be drawn from.

    Args:
        a: Independent samples (N, D), or a function ``(n, rng) -> samples (n, D)`` with a ``torch.Generator`` as
            ``rng``. If more than a fifth are copies of others, there is no bound.
        b: The same.
        seconds: How long to take; by default a minute, if there are no ``steps``.
        steps: Steps of each critic instead; then the same seed gives the same numbers. Transport takes up to 20 seconds
            before them, however few they are.
        seed: The seed of every random choice.
        null: Measure two halves of A in the same way too, which doubles the time.
        progress: Told which share of the work is done.

    Raises:
        UsageError: The samples do not suit each other or are too few, the budget is not positive and finite, or the
            seed is below 0.
    """
    if seconds is None and steps is None:
        seconds = 60.0
    budget = {"seconds": seconds, "steps": steps}
    check_numbers(seed=seed, **{name: number for name, number in budget.items() if number is not None})
    crowd = Crowd(torch.get_num_threads() if steps is None else 1, follows=True)
    part = 0.5 if null else 1.0

    def tell(share: float) -> None:
        crowd()  # which sets torch's threads; `undisturbed` restores them
        progress(share)

    halves_of_a = _two_of(a, b, seed) if null else None
    found, _ = _measure(a, b, seed, seconds, steps, lambda share: tell(part * share))
    if halves_of_a is None:
        return found
    nothing, by_chance = _measure(*halves_of_a, seed, seconds, steps, lambda share: tell(part + part * share))
    error = max(by_chance, nothing.wasserstein / 2)  # what is nothing but noise varies by about its size
    most = nothing.wasserstein + NINETY * math.sqrt(2) * error
    return replace(found, null=most, seconds=found.seconds + nothing.seconds)


def _measure(
    a: Any, b: Any, seed: int, seconds: float | None, steps: int | None, progress: ShareDone
) -> tuple[W1, float]:
    """What is found, and the part of its standard error that the choice of samples makes."""
    began = time.perf_counter()
    sides = open_sides(a, b, seed)
    if seconds is not None:
        seconds = max(seconds / 2, seconds - (time.perf_counter() - began))
    budgets = {name: Budget(steps, None if seconds is None else share * seconds) for name, share in SHARES.items()}
    moves = transported(sides, budgets["transport"], _stage(progress, "transport"))
    free = fit_free(sides, budgets["free"], _stage(progress, "free"))
    certified = fit_certified(sides, budgets["certified"], _stage(progress, "certified"))
    rise = max(0.0, free.rise) * sides.scale
    critic, train, gap = _held_out(sides, free, rise, moves.evenness)
    bound, constant, seen = _bound(sides, certified)
    verdict = combine(critic, moves.distance, moves.noise, bound, moves.cost, moves.moments)
    n, m = sides.sizes or (None, None)
    found = W1(
        wasserstein=verdict.wasserstein,
        interval=verdict.interval,
        conclusive=verdict.conclusive,
        lower_bound=bound,
        standard_error=verdict.error,
        train=train,
        gap=gap,
        critic=critic.value,
        transport=moves.distance.value,
        moments=moves.moments,
        lipschitz_certified=constant,
        lipschitz_observed=seen,
        copies=sides.copies,
        null=None,
        converged=free.steps >= FEWEST_STEPS and rise <= 0.03 * abs(critic.value) + 2 * critic.error,
        steps=free.steps + certified.steps,
        seconds=time.perf_counter() - began,
        method="critic",
        dim=sides.dim,
        n=n,
        m=m,
    )
    return found, verdict.by_chance


def _stage(progress: ShareDone, name: str) -> ShareDone:
    """Tells of a part of the work as a share of the whole."""
    before = sum(SHARES[earlier] for earlier in list(SHARES)[: list(SHARES).index(name)])
    return lambda share: progress(before + SHARES[name] * share)


def _two_of(a: Any, b: Any, seed: int) -> tuple[Any, Any]:
    """Two disjoint sets of samples of A, of at most as many as B has.

    Raises:
        UsageError: There are too few.
    """
    if not callable(a):
        x, least = rows(a), 2 * FEWEST_SAMPLES
        if len(x) < least:
            raise UsageError(f"there are {len(x):,} samples of A; a null of its halves needs at least {least}.")
        return halves(x, by_content(x, seed), null_size(len(x), len(x if callable(b) else rows(b))))
    return a, lambda n, draw: a(n, rng(seed, "another side", draw.initial_seed()))


def _held_out(sides: Sides, fitted: Fitted, rise: float, evenness: float) -> tuple[Opinion, float, float]:
    r"""What the free critic says of samples that it has not seen; of those that it was trained on; and the difference.

    A critic that has memorised its samples adds noise to the direction that it should have. On its own samples
    that noise adds to the difference of means, on others it only takes from the slope, so that the geometric mean of
    the two is what the critic would find without it: with the true direction m and the noise e,
    :math:`|m + e| \cdot \langle m, m + e \rangle / |m + e| \approx |m|^2`. Its error is that of the product, carried
    through the root: where there is no difference, it may be as large as the root of the product.

    That is so where mass moves. Where it stays, noise adds to the first factor and takes nothing from the second. If a
    share s of the mass moves, alike and by less than the noise, the geometric mean is too large by at most the inverse
    root of s, and so is transport's root of a mean square, which gives s away: ``evenness`` is the root of s. So the
    truth is between the mean and its product with that, or what the critic finds in samples that it has not seen, if
    that is more. And a critic flatter than 1 may have seen no more than its slope of what there is.
    """
    unit = sides.scale / max(1.0, fitted.slope)
    (train, _), (held, error) = (
        difference(fitted.critic, sides.part(part), sides.paired) for part in ("train", "test")
    )
    most, spread = root_with_error(train * held, train * error) if train > 0 else (held, error)
    least = max(min(most, held), evenness * most) if most > 0 else most
    value, margin = between(least, most, evenness)
    margin += abs(most) * max(0.0, 1 / max(fitted.slope, FLATTEST) - 1)
    return Opinion(value * unit, spread * unit, margin * unit + rise), train * unit, (train - held) * unit


def _bound(sides: Sides, fitted: Fitted) -> tuple[float, float, float]:
    """The certified lower bound, the constant that certifies it, and the largest slope seen."""
    x, y = sides.part("certify")
    constant = certify(fitted.critic, (sides.dim,))
    seen = observed(fitted.critic, torch.cat([x[:SLOPES], y[:SLOPES]]))
    bound = lower_bound(scores(fitted.critic, x), scores(fitted.critic, y), constant, sides.paired) or 0.0
    return (0.0 if sides.copies > COPIES else bound * sides.scale), constant, seen
