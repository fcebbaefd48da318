"""What a constraint leaves on a critic, and a critic without it, as where a notebook's cell is run again."""

from functools import partial
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from wgan.constraints.base import Constraint
from wgan.errors import UsageError
from wgan.networks.lipschitz import tangent

_MARK = "by_constraint"


def prepared(constraint: Constraint, critic: nn.Module) -> nn.Module:
    """The critic as a constraint prepares it, rid of what the one of an earlier trainer left on it.

    Raises:
        UsageError: The constraint cannot prepare it, or gives none.
    """
    for module in list(critic.modules()):
        if parametrize.is_parametrized(module, "weight") and hasattr(_first(module), _MARK):
            parametrize.remove_parametrizations(module, "weight")  # which leaves the weight that it made
    left = _tangents(critic)
    made = constraint.prepare(critic)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{constraint.label}: prepare gives {made!r}; give the critic, changed or as it was.")
    for hooks, number in left:  # only now, for a critic that is refused keeps its orthogonal weights
        del hooks[number]
    return made


def mark(layer: nn.Module) -> None:
    """Let it be known that a constraint parametrised the layer's weight, and not a user."""
    setattr(_first(layer), _MARK, True)


def _tangents(critic: nn.Module) -> list[tuple[dict[int, Any], int]]:
    """The hooks by which an orthogonal constraint lets weights have a part of their gradients: where they are kept."""
    kept = [weight._backward_hooks or {} for weight in critic.parameters()]
    return [
        (hooks, number)
        for hooks in kept
        for number, hook in hooks.items()
        if isinstance(hook, partial) and hook.func is tangent
    ]


def _first(layer: nn.Module) -> nn.Module:
    return layer.get_submodule("parametrizations.weight.0")
