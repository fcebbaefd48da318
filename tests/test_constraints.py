"""Constraints against closed forms, autograd and numerical differences; parametrised over the registry."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from toolbox import tiny_trainer
from wgan.build import make_constraint
from wgan.certificate import certify
from wgan.config import LossConfig
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
from wgan.constraints.base import with_penalties
from wgan.descent import descend
from wgan.errors import UsageError
from wgan.networks import make_critic
from wgan.networks.layers import NORM_LAYERS
from wgan.networks.lipschitz import OrthogonalConv2d
from wgan.networks.resnet import Residual
from wgan.registry import CONSTRAINTS
from wgan.slopes import gradient_norms, input_gradient, segments

SHAPES = [(5,), (1, 4, 3), (3, 4, 5)]
PENALTIES = [name for name, entry in CONSTRAINTS.items() if entry.load().has_penalty()]
CLOSED_FORMS = {
    "gp": lambda n: (n - 1) ** 2,
    "lp": lambda n: np.maximum(0, n - 1) ** 2,
    "r1": lambda n: n**2 / 2,
    "r2": lambda n: n**2 / 2,
}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def between(n: int = 7) -> Tensor:
    return torch.rand(n, generator=rng())


def samples(shape: tuple[int, ...], seed: int, n: int = 7) -> Tensor:
    return torch.randn(n, *shape, generator=rng(seed), dtype=torch.float64)


class Linear(nn.Module):
    """f(x) = a . x: its gradient is a everywhere."""

    def __init__(self, a: Tensor) -> None:
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) * self.a.flatten()).sum(1)


class Quadratic(nn.Module):
    """f(x) = k |x|^2 / 2: its gradient is k x, another at every sample."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(k, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.k * x.flatten(1).square().sum(1) / 2


def small_critic() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def test_every_penalty_has_a_closed_form_here() -> None:
    assert set(PENALTIES) == set(CLOSED_FORMS)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("scale", [0.05, 0.7])
def test_penalty_of_a_linear_critic(name: str, shape: tuple[int, ...], scale: float) -> None:
    a = samples(shape, 1, 1)[0] * scale
    value = CONSTRAINTS[name].load()().penalty(Linear(a), samples(shape, 2), samples(shape, 3), between())
    assert value.item() == pytest.approx(CLOSED_FORMS[name](np.linalg.norm(a.numpy())), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PENALTIES)
def test_penalty_of_a_quadratic_critic_is_a_mean_over_samples(name: str, shape: tuple[int, ...]) -> None:
    real, fake, k = samples(shape, 2), samples(shape, 3), 0.4
    on_the_way = real + between().view(-1, *[1] * len(shape)) * (fake - real)
    where = {"gp": on_the_way, "lp": on_the_way, "r1": real, "r2": fake}[name]
    norms = k * np.linalg.norm(where.flatten(1).numpy(), axis=1)
    value = CONSTRAINTS[name].load()().penalty(Quadratic(k), real, fake, between())
    assert value.item() == pytest.approx(CLOSED_FORMS[name](norms).mean(), rel=1e-9)
    assert norms.std() > 0.01  # the mean of the norms, squared, would be another number


@pytest.mark.parametrize("name", PENALTIES)
def test_the_gradient_of_a_penalty_reaches_the_weights(name: str) -> None:
    critic, real, fake = small_critic(), samples((12,), 2), samples((12,), 3)
    constraint = CONSTRAINTS[name].load()()

    def value() -> Tensor:
        return constraint.penalty(critic, 3 * real, 3 * fake, between())

    value().backward()
    weight, step = critic[1].weight, 1e-6
    assert weight.grad is not None
    for index in [(0, 0), (3, 5), (5, 11)]:
        with torch.no_grad():
            weight[index] += step
            above = value().item()
            weight[index] -= 2 * step
            below = value().item()
            weight[index] += step
        assert weight.grad[index].item() == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-7)


def test_gradient_norms_agree_with_autograd() -> None:
    critic, x = small_critic(), samples((12,), 4).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    assert torch.allclose(gradient_norms(critic, x.detach()), gradient.norm(dim=1), rtol=1e-9)


def test_norms_of_bfloat16_gradients_are_computed_wide() -> None:
    a, x = samples((300,), 1, 1)[0].bfloat16(), samples((300,), 2).bfloat16()
    norms = gradient_norms(Linear(a), x)
    assert norms.dtype == torch.float32
    assert norms.tolist() == pytest.approx([np.linalg.norm(a.double().numpy())] * 7, rel=1e-6)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_norms_under_autocast_are_those_of_its_gradients_computed_wide(norm: str) -> None:
    torch.manual_seed(0)
    critic, x = make_critic("mlp", (12,), width=64, norm=norm), samples((12,), 4, 50).float()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        gradient, norms = input_gradient(critic, x), gradient_norms(critic, x)
    assert norms.dtype == torch.float32
    assert norms.numpy() == pytest.approx(np.linalg.norm(gradient.double().numpy(), axis=1), rel=1e-6)


def test_the_norm_is_differentiable_where_the_gradient_is_zero() -> None:
    critic = Quadratic(1.0)
    gradient_norms(critic, torch.zeros(3, 5, dtype=torch.float64)).sum().backward()
    assert critic.k.grad is not None
    assert critic.k.grad.isfinite()


def test_segments_take_one_weight_a_sample() -> None:
    real, fake = torch.zeros(50, 3, 4, 4), torch.ones(50, 3, 4, 4)
    weights = segments(real, fake, between(50)).flatten(1)
    assert torch.equal(weights.min(1).values, weights.max(1).values)
    assert weights[:, 0].unique().numel() == 50
    assert torch.equal(weights[:, 0], between(50))


@pytest.mark.parametrize("name", PENALTIES)
def test_batch_norm_is_refused_with_the_remedy(name: str) -> None:
    critic = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(UsageError, match=r"norm='layer' or 'instance'"):
        CONSTRAINTS[name].load()().prepare(critic)


def test_clipping_touches_every_weight_outside_norm_layers_and_none_inside() -> None:
    critic = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(1, 4), nn.PReLU(),
        nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 1),
    )  # fmt: skip
    for weight in critic.parameters():
        nn.init.constant_(weight, 0.5)
    WeightClipping(0.01).project(critic)
    for layer in critic:
        expected = 0.5 if isinstance(layer, NORM_LAYERS) else np.float32(0.01)
        assert all((weight == expected).all() for weight in layer.parameters(recurse=False))


def test_spectral_norm_divides_by_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(20, 1)).double()
    SpectralNorm(0.5).prepare(critic)
    for _ in range(200):
        critic(torch.zeros(1, 2, 4, 4, dtype=torch.float64))
    for layer in (critic[0], critic[2]):
        top = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0]
        assert top == pytest.approx(0.5, rel=1e-6)


class Bare(nn.Module):
    """A layer with a matrix of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.matrix = nn.Linear(4, 4), nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.MultiheadAttention(4, 2), "1.in_proj_weight"),
        (nn.MultiheadAttention(4, 2, kdim=6, vdim=6), "1.q_proj_weight"),
        (nn.LSTM(4, 4), "1.weight_ih_l0"),
        (nn.Bilinear(4, 4, 4), "1.weight"),
        (Bare(), "1.matrix"),
        (OrthogonalConv2d(1, 4, (3, 3), (1, 1), (0, 0)), "1.outward"),
    ],
)
def test_spectral_norm_refuses_weights_that_would_stay_unbound(layer: nn.Module, name: str) -> None:
    critic = nn.Sequential(nn.Linear(4, 4), layer)
    with pytest.raises(UsageError, match=re.escape(name)):
        SpectralNorm().prepare(critic)
    assert not any(parametrize.is_parametrized(part) for part in critic.modules()), "refused before it is changed"


def test_spectral_norm_takes_all_whose_weights_it_binds() -> None:
    """Frozen weights never grow; vectors and tables shift or scale, whatever is put before them."""
    frozen = Bare()
    frozen.matrix.requires_grad_(False)
    layers = (
        nn.Conv1d(2, 3, 3),
        nn.ConvTranspose2d(2, 3, 3),
        spectral_norm(nn.Linear(4, 4)),
        weight_norm(nn.Linear(4, 4)),
    )
    critic = nn.Sequential(*layers, nn.PReLU(4), nn.Embedding(3, 4), frozen)
    critic.register_parameter("bias", nn.Parameter(torch.zeros(1, 4, 1, 1)))  # a vector, though with more axes
    SpectralNorm().prepare(critic)
    assert all(parametrize.is_parametrized(layer, "weight") for layer in (*layers, frozen.inner))
    SpectralNorm().prepare(critic)
    for family, shape in itertools.product(("dcgan", "conv", "resnet", "mlp"), [(3, 16, 16), (1, 9, 12)]):
        SpectralNorm().prepare(make_critic(family, shape, norm="none"))


def test_spectral_norm_refuses_norm_layers() -> None:
    with pytest.raises(UsageError, match=r"norm='none'"):
        SpectralNorm().prepare(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)))


def test_a_sum_acts_at_all_its_moments() -> None:
    critic = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
    both = Sum(WeightClipping(0.01), R1(), R2(3.0, every=2))
    assert both.prepare(critic) is critic
    assert [type(p) for p in both.parts if p.has_penalty()] == [R1, R2]
    both.project(critic)
    assert max(weight.abs().max().item() for weight in critic.parameters()) <= np.float32(0.01)
    assert repr(both) == "WeightClipping(0.01) + R1(10) + R2(3, every=2)"


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_each_has_a_weight_an_interval_and_a_name(name: str) -> None:
    every = 3 if name in CLOSED_FORMS else 1
    constraint: Constraint = CONSTRAINTS[name].load()(weight=2.5, every=every)
    assert (constraint.weight, constraint.every, constraint.parts) == (2.5, every, (constraint,))
    assert constraint.label
    assert type(constraint).__doc__


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_means_nothing_is_refused(name: str, weight: float) -> None:
    kind = CONSTRAINTS[name].load()
    with pytest.raises(UsageError, match=rf"^{kind.label}, weight: {weight} is (not a finite number|too small)"):
        kind(weight)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("norm", [spectral_norm, nn.utils.spectral_norm, nn.utils.weight_norm])
@pytest.mark.parametrize("layer", [lambda: nn.Linear(4, 4), lambda: nn.Conv2d(4, 4, 3)], ids=["linear", "convolution"])
def test_orthogonal_weights_refuse_a_weight_that_something_else_sets(
    norm: Callable[[nn.Module], nn.Module], layer: Callable[[], nn.Module]
) -> None:
    with pytest.raises(UsageError, match=r"layer 0 \(.*\) has weights that another constraint sets"):
        Orthogonal().prepare(nn.Sequential(norm(layer()), nn.Linear(4, 1)))


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_a_bound_of_0_and_an_interval_of_none_are_refused(name: str) -> None:
    kind = CONSTRAINTS[name].load()
    if kind.bounds:
        with pytest.raises(UsageError, match="the weight is 0, but a critic whose slope is 0 cannot tell"):
            kind(0.0)
    else:
        assert kind(0.0).weight == 0
    with pytest.raises(UsageError, match="every: 0 is too small"):
        kind(every=0)


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_an_interval_is_told_where_it_does_something_and_refused_elsewhere(name: str) -> None:
    kind = CONSTRAINTS[name].load()
    if name in CLOSED_FORMS:
        assert "every 4" in str(kind(every=4))
    else:
        with pytest.raises(UsageError, match="every is 4, but it holds at every step"):
            kind(every=4)


def test_one_interval_for_all_is_that_of_the_penalties() -> None:
    made = make_constraint(LossConfig(constraint="spectral+gp", every=(3,)))
    assert [part.every for part in made.parts] == [1, 3]
    for loss, message in (
        (
            LossConfig(constraint="spectral+gp", every=(2, 3)),
            "spectral norm: every is 2, but it holds at every step; leave it out",
        ),
        (LossConfig(constraint="clip", every=(4,)), "weight clipping: every is 4, but it holds at every step"),
        (LossConfig(constraint="none", weight=(5.0,)), "--weight: 5, but the constraint none has no weight"),
    ):
        with pytest.raises(UsageError, match=message):
            make_constraint(loss)


def test_a_step_under_a_sum_is_that_of_its_parts() -> None:
    """Of a linear critic w the gradient norm is |w| everywhere, so that the penalty's gradient is known."""
    w, data = torch.tensor([[3.0, 4.0]]), torch.zeros(8, 2)
    for constraint, taken, factor in (
        (GradientPenalty(10), 0, 10),
        (Sum(GradientPenalty(10), R1(2)), 0, 11),
        (Sum(GradientPenalty(10, every=2)), 1, 0),
        (Sum(GradientPenalty(10, every=2)), 2, 20),
    ):
        critic = nn.Linear(2, 1, bias=False)
        critic.weight.data.copy_(w)
        loss = critic(data).mean()
        descend(critic, constraint, [torch.optim.SGD(critic.parameters(), 1e-3)], loss, data, data, taken, rng())
        gp, r1 = 2 * (5 - 1) * w / 5, w
        gradient = {10: 10 * gp, 11: 10 * gp + 2 * r1, 0: 0 * w, 20: 20 * gp}[factor]
        torch.testing.assert_close(critic.weight.data, w - 1e-3 * gradient)


def test_a_sum_of_sums_has_all_penalties() -> None:
    inner = Sum(GradientPenalty(10), R1(1))
    assert [type(part) for part in Sum(inner, WeightClipping(0.1)).parts] == [GradientPenalty, R1, WeightClipping]
    tiny_trainer(constraint=Sum(Orthogonal(), GradientPenalty())).advance()


@pytest.mark.parametrize(
    "rivals", [*itertools.combinations_with_replacement((WeightClipping, SpectralNorm, Orthogonal), 2)]
)
def test_two_constraints_do_not_fight_for_the_weights(rivals: tuple[type[Constraint], type[Constraint]]) -> None:
    one, other = (kind(weight) for kind, weight in zip(rivals, (1.0, 2.0), strict=True))
    with pytest.raises(UsageError, match=f"^{one.label} and {other.label} would act on the same weights; use one"):
        Sum(Sum(one, R1()), other)


def test_a_penalty_of_your_own_is_added() -> None:
    class Mine(Constraint):
        label = "mine"

        def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
            return torch.full((), 2.5, dtype=real.dtype, requires_grad=True)

    trainer = tiny_trainer(constraint=Mine(3.0))
    trainer.advance()
    assert trainer.record()["penalty"] == pytest.approx(7.5)


@pytest.mark.filterwarnings("ignore:.*spectral_norm.* is deprecated")
def test_spectral_norm_refuses_a_weight_that_something_else_sets() -> None:
    with pytest.raises(UsageError, match="spectral norm: the critic has weights that an older"):
        SpectralNorm().prepare(nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 1))))


def test_orthogonal_layers_that_come_twice_are_the_same_ones() -> None:
    conv, act = nn.Conv2d(4, 4, 3, padding=1), nn.LeakyReLU(0.2)
    critic = nn.Sequential(nn.Conv2d(1, 4, 1), act, conv, act, conv, nn.Flatten(), nn.Linear(4 * 25, 1))
    made = Orthogonal().prepare(critic)
    assert made[2] is made[4] and isinstance(made[2], OrthogonalConv2d) and made[1] is made[3]
    assert certify(made, (1, 5, 5)) == pytest.approx(1, rel=1e-4)
    shared = nn.Linear(4, 4)
    with pytest.raises(UsageError, match="the critic's last layer is used more than once"):
        Orthogonal(2.0).prepare(nn.Sequential(shared, nn.ReLU(), shared))
    tied, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.weight = tied.weight
    with pytest.raises(UsageError, match="the critic's last layer is used more than once"):
        Orthogonal(2.0).prepare(nn.Sequential(tied, nn.ReLU(), other))
    with pytest.raises(UsageError, match="the critic ends with a residual block"):
        Orthogonal(0.1).prepare(nn.Sequential(nn.Linear(6, 1), Residual(nn.Linear(1, 1), None)))


def test_orthogonal_weights_leave_frozen_layers_frozen() -> None:
    critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 9, 1)).requires_grad_(False)
    assert not any(weight.requires_grad for weight in Orthogonal().prepare(critic).parameters())
    conv = nn.Conv2d(1, 4, 3)
    assert conv.bias is not None
    conv.bias.requires_grad_(False)
    made = Orthogonal(2.0).prepare(conv)
    assert [name for name, weight in made.named_parameters() if not weight.requires_grad] == ["bias"]
    assert isinstance(Orthogonal(2.0).prepare(nn.Sequential(nn.Flatten())), nn.Sequential)


def test_a_penalty_that_is_no_scalar_is_refused() -> None:
    class Each(Constraint):
        label = "my penalty"

        def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
            return gradient_norms(critic, real)

    made, x = nn.Linear(2, 1), torch.zeros(3, 2)
    with pytest.raises(UsageError, match=r"my penalty: the penalty has shape \(3,\); give a tensor that is a scalar"):
        with_penalties(torch.zeros(()), Each(), 0, lambda _, part: part.penalty(made, x, x, torch.zeros(3)))
    with pytest.raises(UsageError, match=r"my penalty: the penalty is 0.5; give a tensor that is a scalar"):
        with_penalties(torch.zeros(()), Each(), 0, lambda *_: 0.5)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("weight", "every", "said"),
    [
        ("10", 1, "weight: '10' is not a finite number"),
        (10, 2.9, "every: 2.9 is not a whole number"),
        (10, math.inf, "every: inf is not a whole number"),
        (True, 1, "weight: True is not a finite number"),
    ],
)
def test_numbers_of_a_constraint_are_not_guessed(weight: Any, every: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^gradient penalty, {said}"):
        GradientPenalty(weight, every)


def test_usual_weights_are_those_of_the_papers() -> None:
    assert (WeightClipping().weight, GradientPenalty().weight, LipschitzPenalty().weight) == (0.01, 10, 10)


def test_a_step_depends_on_the_generator_it_is_given() -> None:
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        critic, x = make_critic("mlp", (2,), width=8), torch.randn(16, 2)
        torch.manual_seed(len(ends))
        loss = critic(x).mean() - critic(2 * x + 3).mean()
        descend(
            critic,
            GradientPenalty(),
            [torch.optim.SGD(critic.parameters(), 0.1)],
            loss,
            x,
            2 * x + 3,
            0,
            torch.Generator().manual_seed(7),
        )
        ends.append(torch.cat([w.detach().flatten() for w in critic.parameters()]))
    assert torch.equal(*ends)


def test_critic_steps_begin_with_no_gradient_and_end_projected() -> None:
    critic, data = nn.Linear(2, 1, bias=False), torch.ones(8, 2)
    critic.weight.data.fill_(0.0)
    optimizer = torch.optim.SGD(critic.parameters(), 1.0)
    for step in range(2):
        descend(critic, WeightClipping(10.0), [optimizer], critic(data).mean(), data, data, step, torch.Generator())
    assert critic.weight.tolist() == [[-2.0, -2.0]]
    descend(critic, WeightClipping(0.5), [optimizer], critic(data).mean(), data, data, 2, torch.Generator())
    assert critic.weight.tolist() == [[-0.5, -0.5]]


def test_pools_that_round_up_still_do() -> None:
    (layer,) = Orthogonal().prepare(nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)))
    assert layer(torch.zeros(1, 1, 5, 5)).shape == (1, 1, 3, 3)
