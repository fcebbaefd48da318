"""What the mean scores of two sets of samples say of all samples, and how surely."""

from math import sqrt

from torch import Tensor

CONFIDENCE = 0.999
"""Of a lower bound: 3.09 standard errors, and more where samples are few."""


def lower_bound(real: Tensor, fake: Tensor, constant: float | None, paired: bool = False) -> float | None:
    """What the distance is at least, at 99.9 % confidence, as far as a mean of so many scores is normal.

    Both sides are taken to vary as much as the one that varies more: a side of few samples may have met nothing of what
    is rare, and then says too little of its error. Of few samples Student's t is taken instead of 3.09.

    Args:
        real: Scores (N,) of samples that the critic has not seen.
        fake: Scores (M,) of generated samples.
        constant: The critic's Lipschitz constant, None if it is not known.
        paired: Whether each of the second was made from the one of the first in its place.

    Returns:
        None where the constant is not known, or a side is a single sample.
    """
    few = min(len(real), len(fake))
    if constant is None or few < 2:
        return None
    from scipy.special import stdtrit

    error = sqrt(max(float(real.var()), float(fake.var())) * (1 / len(real) + 1 / len(fake)))
    error = max(error, _of_differences(real, fake)) if paired else error
    sure = float(real.mean() - fake.mean()) - float(stdtrit(few - 1, CONFIDENCE)) * error
    return sure / constant if constant else 0.0


def stderr(a: Tensor, b: Tensor, paired: bool = False) -> float | None:
    """Standard error of the difference of two means; a single sample does not tell.

    It is that of independent samples, or of the differences of pairs if that is larger: where a number changes its
    sign, both means err in opposite directions.
    """
    if min(len(a), len(b)) < 2:
        return None
    independent = float((a.var() / len(a) + b.var() / len(b)).sqrt())
    return max(independent, _of_differences(a, b)) if paired else independent


def _of_differences(a: Tensor, b: Tensor) -> float:
    """Standard error of the mean difference of pairs."""
    return float((a - b).std()) / sqrt(len(a))
