"""A distance between two sets of samples, as it is answered: with its error, its null, and why this method."""

from dataclasses import asdict, dataclass
from typing import Any

from wgan.words import as_table, count, digits, with_error


@dataclass(frozen=True)
class Estimate:
    """A distance between two sets of samples, A and B.

    Attributes:
        value: The distance.
        standard_error: Its standard error; None where there are too few samples to tell.
        least: With ``quadrature`` only, which is too large where few samples move far and the others stay: the value,
            or ``debiased`` if that is less.
        most: With ``quadrature`` only, which misses what is new in every sample, be it noise or a rounding of pixels:
            transport across the halves with the samples' noise in it, on average no less than the truth, plus 1.645
            standard errors where these are known.
        moments: With ``quadrature`` of 50 samples a side or more: what means and covariances demand where all samples
            move alike (:func:`wgan.distances.gaussian.gaussian_less_noise`); too large where only a few differ.
        null: The same method's distance between two random halves of A, or as much of them as B has samples: what it
            reports where there is no difference; None where there are too few samples.
        null_n: Samples in each half, or in what is used of it.
        method: A name in ``wgan.registry.DISTANCES``.
        n: Samples of A.
        m: Samples of B.
        dim: Numbers in each sample.
        units: What the value is measured in.
        seconds: How long it took, reading the samples included.
        why: Why this method, in a sentence.
    """

    value: float
    standard_error: float | None
    least: float | None
    most: float | None
    moments: float | None
    null: float | None
    null_n: int | None
    method: str
    n: int
    m: int
    dim: int
    units: str
    seconds: float
    why: str

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        return as_table(self._rows(), self.units, self.seconds)

    def _rows(self) -> dict[str, str]:
        few = "unknown: too few samples"
        value, error = with_error(self.value, self.standard_error), self.standard_error
        if self.value < 0:
            made = "samples of one side are those of the other, or made from them, in another order or number"
            by_chance = error is None or self.value > -5 * error
            value += ": below 0, " + (
                "so it cannot be told from noise"
                if by_chance
                else f"by more than noise: {made}; give both in one order, or use --method exact"
            )
        doubt = {}
        if self.least is not None and self.most:
            ends = "the lower end holds if only a few samples differ; the upper end still contains sampling noise"
            doubt = {"range": f"{digits(max(0.0, self.least))} to {digits(self.most)}: {ends}"}
            if self.moments is not None and max(self.value, 0.0) + 2 * (error or 0.0) < self.moments < self.most:
                demanded = "what means and covariances imply if all samples move alike; too large if only a few differ"
                doubt |= {"moments": f"{digits(self.moments)}: {demanded}"}
        return {
            "distance": value if error is not None else f"{value} (error {few})",
            **doubt,
            "null": few
            if self.null is None
            else f"{self.null:.3g} (two disjoint parts of A give this, by chance: {self.null_n:,} each)",
            "method": f"{self.method}: {self.why}",
            "samples": f"{self.n:,} of A and {self.m:,} of B, {count(self.dim, 'number')} each",
        }
