"""What every constraint is: three moments at which it may act."""

import math
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from wgan.errors import UsageError
from wgan.limits import check_numbers


class Constraint:
    """Does nothing at any of the three moments; each constraint overrides its own.

    Args:
        weight: The strength, or the bound (each constraint says what it means).
        every: A penalty is added at every ``every``-th critic step only, ``every`` times as strong.

    Raises:
        UsageError: The weight is negative, not finite or a bound of 0; or ``every`` is below 1, or above where there is
            no penalty.
    """

    label: ClassVar[str] = "no constraint"
    bounds: ClassVar[bool] = False
    """Whether the weight is a bound, so that 0 would leave a critic that cannot tell samples apart."""
    certified: bool = False
    """Whether the critic's Lipschitz constant is known, tight and quick to compute."""
    weight: float = 1.0
    every: int = 1

    def __init_subclass__(cls) -> None:
        if "label" not in vars(cls):
            cls.label = cls.__name__

    def __init__(self, weight: float = 1.0, every: int = 1) -> None:
        try:
            check_numbers(weight=weight, every=every)
        except UsageError as error:
            raise UsageError(f"{self.label}, {error}") from None
        if self.bounds and not weight:
            raise UsageError(
                f"{self.label}: the weight is 0, but a critic whose slope is 0 cannot tell samples apart; leave it out "
                "for the usual one."
            )
        if every > 1 and not self.has_penalty():
            raise UsageError(
                f"{self.label}: every is {every}, but it holds at every step; leave it out, for only penalties may "
                "wait."
            )
        self.weight, self.every = float(weight), int(every)

    def __repr__(self) -> str:
        every = f", every={self.every}" if self.every > 1 else ""
        return f"{type(self).__name__}({self.weight:g}{every})"

    def __str__(self) -> str:
        every = f" every {self.every} critic steps" if self.every > 1 else ""
        return f"{self.label} {self.weight:g}{every}"

    @classmethod
    def has_penalty(cls) -> bool:
        """Whether it adds to the critic's loss itself, and not through its parts."""
        return cls.penalty is not Constraint.penalty

    @property
    def parts(self) -> tuple["Constraint", ...]:
        """The constraints that this one is the sum of."""
        return (self,)

    @property
    def slope(self) -> tuple[float, float] | None:
        """Least and largest mean gradient norm between real and generated that it allows; None if it promises none.

        The largest is finite and above 0.
        """
        return None

    @property
    def unit(self) -> float:
        """What scores are divided by to be in units of W1: the largest slope that it allows; 1 if it bounds none."""
        return self.slope[1] if self.slope else 1.0

    @property
    def arbitrary_under(self) -> str | None:
        """What leaves the estimate known only up to a factor, in words; None if a part bounds the gradient norm."""
        return None if self.slope else " and ".join(part.label for part in self.parts)

    def prepare(self, critic: nn.Module) -> nn.Module:
        """Reparametrise the critic, once, before its optimizer is made.

        Raises:
            UsageError: The critic cannot be constrained in this way; the message gives the remedy.
        """
        return critic

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        """The scalar that the critic's loss gets ``weight`` times.

        It is a mean over samples and a function of its arguments alone, so that processes can each take a part of a
        batch: what it needs of chance comes in ``epsilon``.

        Args:
            critic: The critic.
            real: Samples (N, ...).
            fake: The same, generated.
            epsilon: Numbers (N,), uniform in [0, 1): where on the way from real to generated to look.
        """
        return real.new_zeros(())

    def project(self, critic: nn.Module) -> None:
        """Bring the critic's weights back to where they are allowed, after each critic step."""


def parts_of(*given: Constraint) -> tuple[Constraint, ...]:
    """The parts of all of these.

    Raises:
        UsageError: One is no constraint.
    """
    if not given:
        raise UsageError("a sum of constraints has none; use Unconstrained() for no constraint.")
    for each in given:
        if not isinstance(each, Constraint):
            raise UsageError(f"a sum of constraints is given {each!r}; give objects, as in Sum(R1(1.0), R2(1.0)).")
    return tuple(part for each in given for part in each.parts)


def with_penalties(
    loss: Tensor, constraint: Constraint, taken: int, penalty: Callable[[int, Constraint], Tensor]
) -> tuple[Tensor, Tensor | None]:
    r"""A critic's loss with the penalties that are due, and what to log of them (None where nothing is).

    .. math:: L + A_t, \qquad A_t = \sum_i [t \bmod k_i = 0] \, k_i \lambda_i p_i

    at critic step :math:`t`, with the parts' intervals :math:`k_i` (``every``), weights :math:`\lambda_i` and penalties
    :math:`p_i`. Logged is :math:`A_t / g` at each step that :math:`g`, the intervals' greatest common divisor, divides:
    its mean is :math:`\sum_i \lambda_i p_i`, however often each is due.

    Args:
        loss: Of the critic's scores.
        constraint: Whose penalties.
        taken: Critic steps so far.
        penalty: The penalty of a part of the constraint, which is told the part's number first.
    """
    penalties = [(number, part) for number, part in enumerate(constraint.parts) if part.has_penalty()]
    between = math.gcd(*(part.every for _, part in penalties))
    if not penalties or taken % between:
        return loss, None
    terms = [
        part.every * part.weight * _scalar(penalty(n, part), part) for n, part in penalties if taken % part.every == 0
    ]
    added = sum(terms, loss.new_zeros(()))
    return loss + added, added / between


def _scalar(penalty: Tensor, part: Constraint) -> Tensor:
    if not isinstance(penalty, Tensor) or penalty.dim():
        what = f"has shape {tuple(penalty.shape)}" if isinstance(penalty, Tensor) else f"is {penalty!r}"
        raise UsageError(f"{part.label}: the penalty {what}; give a tensor that is a scalar, such as its mean.")
    if not penalty.requires_grad:
        raise UsageError(
            f"{part.label}: the penalty has no gradient, so that it would constrain nothing; compute it from the "
            "critic, and gradients in it with create_graph=True."
        )
    return penalty
