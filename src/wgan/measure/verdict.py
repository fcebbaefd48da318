r"""From what critics and transport say to one number, an interval, and whether the samples can tell.

Both estimates have known faults, and mostly opposite ones. A critic's difference over its slope errs downwards: an
imperfect critic sees a part of the distance. Transport less the samples' noise errs towards :math:`W_2 \ge W_1`, as far
as it cannot tell which mass moves, and is drowned by noise in high dimension. Where they agree, both are believed;
where they do not, their disagreement is a part of the standard error, for it is larger than that of the samples; and
from some point on the samples cannot tell, and the interval widens to what is left: from the certified bound to the
transport of the samples as they are.

References:
    The calculation of errors by the method of least squares (Birge, 1932), on measurements that disagree by more than
    their errors, https://doi.org/10.1103/PhysRev.40.207
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from wgan.distances.estimate import NINETY

MARGIN = 0.1
"""How far from the truth an estimate is taken to be beyond its standard error, as a share of it."""

WIDEST = 0.22
"""Half the interval's width, as a share of the estimate, up to which samples are said to tell. From there to half as
much again, the interval widens to all that is left."""

ROUNDING = 1e-12
"""An estimate below this share of what transport of the samples costs is 0."""


@dataclass(frozen=True)
class Opinion:
    """What critic or transport says of W1.

    Attributes:
        value: The estimate.
        error: Its standard error.
        margin: What it may be off by beyond that.
        ninety: Standard errors on each side of a 90 % interval.
    """

    value: float
    error: float
    margin: float
    ninety: float = NINETY


@dataclass(frozen=True)
class Verdict:
    """What is believed in the end; see :class:`wgan.measure.W1`.

    Attributes:
        wasserstein: The estimate.
        error: Its standard error.
        by_chance: What of that comes from the choice of samples.
        interval: Of 90 %.
        conclusive: Whether the samples can tell.
    """

    wasserstein: float
    error: float
    by_chance: float
    interval: tuple[float, float]
    conclusive: bool


def between(least: float, most: float, evenness: float) -> tuple[float, float]:
    """What to believe of a distance between these two, nearer to the most the more evenly mass moves; and a margin.

    The margin is a share of the value, and twice what was taken off the most, which is nothing if all mass moves alike.
    """
    value = least + evenness * (most - least)
    return value, MARGIN * abs(value) + 2 * (most - value)


def combine(critic: Opinion, transport: Opinion, noise: float, bound: float, ceiling: float, moments: float) -> Verdict:
    """Weigh the two estimates against each other.

    Args:
        critic: The free critic's estimate.
        transport: Transport of the samples less their noise.
        noise: The share of the cost of transport that is sampling noise. The larger it is, the wider is transport's
            margin, most of all where it lies below the critic, and the more ``moments`` may widen the interval.
        bound: The certified lower bound.
        ceiling: What transport of the samples costs, noise included: on average no less than the truth, so that what
            a critic finds above it is its own fault.
        moments: What means and covariances demand: if the estimate is below it, both have missed something in noise.
    """
    critic = replace(critic, value=min(critic.value, ceiling))
    missed = noise * max(0.0, critic.value - transport.value)
    measurements = critic, replace(transport, margin=noise * transport.margin + missed)
    weights = [1 / (each.error**2 + each.margin**2 + 1e-300) for each in measurements]
    shares = [weight / sum(weights) for weight in weights]

    def mean(of: Callable[[Opinion], float]) -> float:
        return sum(share * of(each) for share, each in zip(shares, measurements, strict=True))

    found = mean(lambda each: each.value)
    value = max(0.0, bound, found if found > ROUNDING * ceiling else 0.0)
    least = max(0.0, bound)  # what is below is refuted, and no reason to doubt the value
    apart = math.sqrt(mean(lambda each: (max(each.value, least) - value) ** 2))
    by_chance = mean(lambda each: each.error)  # both looked at the same samples, and err together
    error = math.hypot(by_chance, apart)
    margin = mean(lambda each: each.margin)
    # What transport misses may be more than what the critic has found, and what both miss more than what moments show,
    # or than what the bound has shown.
    half = mean(lambda each: each.ninety * each.error) + apart + margin + missed + noise * max(0.0, moments - value)
    half += max(0.0, least - found)
    rounding = ROUNDING * ceiling  # a set and itself
    error, half = (each if each > rounding else 0.0 for each in (error, half))
    conclusive = half <= WIDEST * value
    doubt = 0.0 if conclusive else min(1.0, 2 * (half / (WIDEST * value) - 1)) if value else 1.0
    low, high = (1 - doubt) * (value - half), value + half
    high += doubt * max(0.0, ceiling - high)
    return Verdict(value, error, by_chance, (max(0.0, bound, low), high), conclusive)
