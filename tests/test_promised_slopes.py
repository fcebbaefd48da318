"""What constraints promise of a critic's slope, and what that makes of the estimate's scale."""

import pytest

from wgan.constraints import (
    R1,
    R2,
    Constraint,
    GradientPenalty,
    LipschitzPenalty,
    Orthogonal,
    SpectralNorm,
    Sum,
    WeightClipping,
)
from wgan.errors import UsageError


def test_the_scale_is_known_under_gp_lp_and_orthogonal_weights_only() -> None:
    known, arbitrary = (Orthogonal(), GradientPenalty(), LipschitzPenalty()), (WeightClipping(), R1(), R2())
    assert [(constraint.arbitrary_under, constraint.unit) for constraint in known] == [(None, 1)] * 3
    assert [constraint.arbitrary_under for constraint in arbitrary] == ["weight clipping", "R1 penalty", "R2 penalty"]
    assert [constraint.unit for constraint in arbitrary] == [1] * 3
    for steep in (Orthogonal(3.0), Sum(Orthogonal(3.0), R1())):
        assert (steep.arbitrary_under, steep.unit) == (None, 3), "it is known: scores are three times those of W1"


@pytest.mark.parametrize("other", [WeightClipping(), R1(), SpectralNorm()], ids=repr)
def test_what_flattens_a_critic_further_leaves_no_least_slope(other: Constraint) -> None:
    assert Sum(GradientPenalty(), other).slope == Sum(other, LipschitzPenalty()).slope == (0, 1)
    assert Sum(GradientPenalty(), LipschitzPenalty()).slope == (1, 1)


def test_a_sum_promises_the_narrowest_slope_of_its_parts() -> None:
    assert Sum(LipschitzPenalty(), GradientPenalty()).slope == (1.0, 1.0)
    assert Sum(Orthogonal(3.0), LipschitzPenalty()).slope == (0.0, 1.0)
    assert Sum(Orthogonal(0.5), LipschitzPenalty()).slope == (0.0, 0.5)
    assert Sum(Orthogonal(), GradientPenalty()).certified and not Sum(GradientPenalty(), WeightClipping()).certified


def test_a_penalty_that_pulls_the_slope_above_a_bound_is_refused() -> None:
    with pytest.raises(UsageError, match="penalty 10 pulls the critic's slope to 1, and orthogonal weights"):
        Sum(Orthogonal(0.5), GradientPenalty(), R1())
