"""What is wrong with a training, in words that are computed from its measurements, each with its evidence.

:func:`diagnose` needs only records; :func:`look_ahead` needs a trainer.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from torch import Tensor, nn

from wgan.certificate import certify
from wgan.confidence import lower_bound, stderr
from wgan.constraints import Constraint
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.trainer import Trainer
from wgan.trainer.meter import Meter, probe
from wgan.words import with_error

Medians = Mapping[str, float]

POOLED = 10
"""So many of the last records, all from the second half of training, are looked at together."""
FEWEST = 3
"""With fewer there is no diagnosis but that of a slope that is too large: it would be too early."""
SIGNIFICANT = 3.0
"""Standard errors beyond which a difference is not put down to chance."""
LEARNT, BEHIND = 0.15, 0.4
"""Shares of the estimate from which it matters that the critic has memorised samples, or lags.

With the preset default the one is below a tenth and the other a fifth to a third: records are a little too small."""
STEEP, FLAT, STARVED = 1.2, 0.5, 0.05
"""Mean gradient norms that break a constraint, leave it slack, or starve the generator, as shares of what is usual."""
LAG_STEPS, LAG_SAMPLES = 120, 2048
"""How many more critic steps, and on how many samples a side, show whether the critic was behind."""


@dataclass(frozen=True)
class Finding:
    """One thing that measurements say about a training.

    Attributes:
        name: In a word: overfit, lag, lipschitz, negative, starved, bound, diverged, failed or killed.
        text: A sentence.
        evidence: The numbers that it follows from.
        advice: What to do.
        fault: Whether something is wrong; else it is good to know.
    """

    name: str
    text: str
    evidence: Mapping[str, float]
    advice: str = ""
    fault: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def diagnose(records: Sequence[Mapping[str, Any]], constraint: Constraint, ended: bool = False) -> list[Finding]:
    """What the last records of a training say of it.

    It looks at medians, so that one noisy record says nothing. All records measure the same real samples, so the errors
    of their medians are taken to be no smaller than those of one record.

    Args:
        records: In order, with the fields of metrics.jsonl.
        constraint: What keeps the critic Lipschitz.
        ended: Whether the last record is the one to believe: then a critic's slope in it that is too large, for it is
            not noisy, is told even if there are too few records for all else.

    Returns:
        The findings, faults first.
    """
    medians = pooled(records)
    if ended and records and not medians:
        last = _numbers(records[-1:], ("gradient_norm", "wasserstein_heldout"))
        medians = last if last.get("gradient_norm", 0.0) > STEEP * (_allowed(constraint) or math.inf) else {}
    found = [finding for look in (_overfit, _negative, _starved, _lipschitz) if (finding := look(medians, constraint))]
    return sorted(found, key=lambda finding: not finding.fault)


def pooled(records: Sequence[Mapping[str, Any]]) -> Medians:
    """Medians of the numbers of the last ten records, the first half of training left out; empty if too few."""
    if not records:
        return {}
    late = [record for record in records[-POOLED:] if record["step"] >= records[-1]["step"] / 2]
    return _numbers(late, sorted(late[0])) if len(late) >= FEWEST else {}


def _numbers(records: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Medians:
    """Medians of those that are numbers in all records."""
    known = [name for name in names if all(isinstance(record.get(name), int | float) for record in records)]
    return {name: float(median(record[name] for record in records)) for name in known}


class Watch:
    """Tells of each fault once, when it first appears.

    Args:
        records: Those that are there already, whose faults are known.
        constraint: What keeps the critic Lipschitz.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]], constraint: Constraint) -> None:
        self.records, self.constraint = list(records), constraint
        self._told = {finding.name for finding in diagnose(self.records, constraint) if finding.fault}

    def __call__(self, record: Mapping[str, Any]) -> list[Finding]:
        """The faults that a new record is the first to show."""
        self.records.append(record)
        found = diagnose(self.records, self.constraint)
        new = [finding for finding in found if finding.fault and finding.name not in self._told]
        self._told |= {finding.name for finding in new}
        return new


def look_ahead(trainer: Trainer, data: Data, steps: int = LAG_STEPS) -> tuple[Finding, Finding]:
    """Whether records say too little, and how large the distance is at least, if the critic goes on for longer.

    Both are about the average of the generator, as records are. All estimates are of the same held-out and generated
    samples, so the error of their differences is small. A critic that is a fifth steeper than its constraint
    allows, or more, sees too much, so scores are divided by the factor before they are compared.

    Args:
        trainer: It is left as it is.
        data: Its data.
        steps: Critic steps beyond those before a record.

    Returns:
        The findings lag and bound.

    Raises:
        WganError: The critic diverges, or there is a single held-out sample.
    """
    options, unit = (trainer.batch, trainer.seed, trainer.to_device), trainer.constraint.unit
    meter = Meter(data, trainer.latent, *options, unit=unit, samples=LAG_SAMPLES)
    scores, factors = [], []
    for further in (0, steps):
        with trainer.caught_up(further):
            scores.append(meter.scores(trainer.average.module, trainer.critic, trainer.step)[1:])
            slope = meter.slope(trainer.average.module, trainer.critic, trainer.step)
            excess = slope / (_allowed(trainer.constraint) or math.inf)
            factors.append(excess if excess > STEEP else 1.0)
            critic = probe(trainer.critic)
    before, after = (
        float(real.mean() - fake.mean()) / factor for (real, fake), factor in zip(scores, factors, strict=True)
    )
    error = stderr(*(new / factors[1] - old / factors[0] for old, new in zip(*scores, strict=True)))
    if error is None:
        raise WganError("a single held-out sample does not tell; use --held-out 2 or more.")
    if not math.isfinite(before + after + error):
        raise WganError("the critic diverges when it goes on alone; lower --critic-lr.")
    return _lag(before, after, error, steps, factors), _bound(*scores[1], critic, data.shape, unit)


def _lag(before: float, after: float, error: float, steps: int, factors: Sequence[float]) -> Finding:
    rise = after - before
    evidence = {"held_out": before, "held_out_later": after, "rise_stderr": error}
    steep = max(factors) > 1
    over = f", divided by the critic's excess slope ({factors[0]:.3g}, then {factors[1]:.3g})," if steep else ""
    said = (
        f"{steps} more critic steps against the frozen generator bring the held-out estimate{over} from {before:.3g} "
        f"to {after:.3g} (a rise of {with_error(rise, error)})"
    )
    if rise <= SIGNIFICANT * error:
        return Finding("lag", f"the critic keeps up: {said}.", evidence, fault=False)
    if rise <= BEHIND * abs(after):
        share = f"{100 * rise / abs(after):.0f} %"
        text = f"the critic keeps up as is usual, with recorded estimates about {share} too small: {said}."
        return Finding("lag", text, evidence, fault=False)
    return Finding(
        "lag",
        f"the critic lags, so the recorded estimates are too small: {said}.",
        evidence,
        "Raise --catch-up for truer records; if samples get no better either, take more --critic-steps, or a higher "
        "--critic-lr and a lower --generator-lr.",
    )


def _bound(real: Tensor, fake: Tensor, critic: nn.Module, shape: tuple[int, ...], unit: float) -> Finding:
    held_out, error = float(real.mean() - fake.mean()), stderr(real, fake)
    try:
        constant = certify(critic, shape) / unit
    except UsageError as reason:
        return Finding("bound", f"there is no certified bound: {reason}", {}, fault=False)
    bound = lower_bound(real, fake, constant) or 0.0
    over = "" if unit == 1 else f" (both divided by {unit:g}, which its constraint allows)"
    units = "of pictures in [-1, 1]: twice what `wgan distance` says" if len(shape) == 3 else "of standardised vectors"
    least = (
        f"is at least {bound:.3g}, with 99.9 % confidence"
        if bound > 0
        else "has no lower bound above 0 with 99.9 % confidence"
    )
    return Finding(
        "bound",
        f"the Wasserstein distance ({units}) {least}: the critic, gone on alone, says {with_error(held_out, error)}, "
        f"and is nowhere steeper than {constant:.4g}{over}.",
        {"bound": bound, "held_out": held_out, "held_out_stderr": error or 0.0, "constant": constant},
        fault=False,
    )


def _overfit(medians: Medians, constraint: Constraint) -> Finding | None:
    evidence = _pick(medians, "wasserstein_heldout", "gap", "gap_stderr")
    if len(evidence) < 3:
        return None
    held_out, gap, error = evidence.values()
    if gap <= SIGNIFICANT * error or gap <= LEARNT * held_out:
        return None
    return Finding(
        "overfit",
        f"the critic overfits: in the late records it scores samples it was trained on {with_error(gap, error)} higher "
        f"than held-out ones, where the estimate is {held_out:.3g}.",
        evidence,
        "Train on more data, mirror pictures with --flip, take a smaller critic (--critic-width), or stop earlier.",
    )


def _negative(medians: Medians, constraint: Constraint) -> Finding | None:
    evidence = _pick(medians, "wasserstein_heldout", "wasserstein_stderr")
    if len(evidence) < 2 or (estimate := medians["wasserstein_heldout"]) >= -2 * medians["wasserstein_stderr"]:
        return None
    return Finding(
        "negative",
        f"the held-out estimate is negative beyond its error, {with_error(estimate, medians['wasserstein_stderr'])}: "
        "the critic does worse than none at all.",
        evidence,
        "Give it more --critic-steps, or only to its records more of --catch-up; if it overfits, more data.",
    )


def _starved(medians: Medians, constraint: Constraint) -> Finding | None:
    evidence = _pick(medians, "gradient_norm", "gradient_norm_fake")
    if len(evidence) < 2:
        return None
    usual, at_fake = evidence.values()
    if at_fake > STARVED * usual and at_fake > STARVED * _allowed(constraint):
        return None
    return Finding(
        "starved",
        f"the generator is starved: at its samples the critic's slope is {at_fake:.2g}, and {usual:.2g} on the way to "
        "real ones.",
        evidence,
        ("Use the constraint gp or lp, " if constraint.slope is None else "Use ")
        + "a lower --critic-lr, or fewer --critic-steps.",
    )


def _lipschitz(medians: Medians, constraint: Constraint) -> Finding | None:
    evidence = _pick(medians, "gradient_norm", "wasserstein_heldout")
    if len(evidence) < 2:
        return None
    norm = medians["gradient_norm"]
    if constraint.slope is None:
        return Finding(
            "lipschitz",
            f"the estimate's scale is arbitrary under {constraint.arbitrary_under}: the critic's slope is {norm:.2g}.",
            evidence,
            "Compare it within this run only, or use --constraint lp.",
            fault=False,
        )
    least, most = constraint.slope
    said = f"the critic's slope is {norm:.2g} on average where {constraint} allows {most:g}"
    if norm > STEEP * most:
        advice = "Raise --weight, penalise at every step (--every 1), or lower --critic-lr."
        text = f"the estimate is about {norm / most:.2g} times too large: {said}."
        return Finding("lipschitz", text, evidence, advice)
    if norm < FLAT * most:
        # Without a least slope the best critic is as steep where mass travels, and may be flat elsewhere.
        small = f"is too small by a factor of about {most / max(norm, 1e-12):.2g}" if least else "may be too small"
        advice = "Take more --critic-steps or a wider critic if the scale matters."
        return Finding("lipschitz", f"the estimate {small}: {said}.", evidence, advice, fault=least > 0)
    return None


def _allowed(constraint: Constraint) -> float:
    return constraint.slope[1] if constraint.slope else 0.0


def _pick(medians: Medians, *names: str) -> dict[str, float]:
    return {name: medians[name] for name in names if name in medians}
