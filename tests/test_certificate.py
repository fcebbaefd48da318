"""Certificates against explicit matrices and observed slopes: never below, and tight where they should be."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from wgan.certificate import certify, observed
from wgan.constraints import Orthogonal
from wgan.errors import UsageError
from wgan.networks import Critic, make_critic
from wgan.networks.lipschitz import OrthogonalConv2d
from wgan.networks.sorting import GroupSort, MaxMin
from wgan.registry import NETWORKS

pytestmark = pytest.mark.usefixtures("one_thread")

ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(0.2), nn.LeakyReLU(3.0), nn.Tanh(), nn.Sigmoid(), nn.SiLU(), MaxMin(), GroupSort(3),
    nn.Dropout(0.5), nn.Identity(),
]  # fmt: skip
LAYERS = [
    # channels, out, kernel, stride, padding, dilation, groups, (height, width)
    (1, 4, 3, 1, 1, 1, 1, (6, 6)),
    (2, 3, 3, 1, 0, 1, 1, (7, 5)),
    (3, 8, 4, 2, 1, 1, 1, (8, 8)),
    (2, 5, 3, 2, 1, 1, 1, (7, 9)),
    (1, 6, 5, 2, 2, 1, 1, (9, 9)),
    (4, 4, 3, 1, 1, 1, 2, (5, 5)),
    (2, 3, 3, 1, 2, 2, 1, (8, 8)),
    (2, 2, 2, 3, 0, 1, 1, (7, 8)),
    (3, 2, (1, 3), (1, 2), (0, 1), 1, 1, (4, 6)),
    (2, 3, 3, 1, 1, 1, 1, (1, 1)),
    (2, 4, 4, 2, 1, 1, 1, (16, 16)),
]


def explicit_norm(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """The largest singular value of a linear layer's matrix, made by showing it every unit vector."""
    zero, units = torch.zeros(1, *shape), torch.eye(torch.Size(shape).numel()).view(-1, *shape)
    with torch.no_grad():
        layer = layer.double()
        columns = layer(units.double()) - layer(zero.double())
    return float(torch.linalg.svdvals(columns.flatten(1))[0])


def steepest_seen(critic: nn.Module, shape: tuple[int, ...]) -> float:
    """The largest slope between near and far pairs of points, and the largest gradient."""
    x, near = torch.randn(64, *shape), 0.01 * torch.randn(64, *shape)
    critic = critic.eval()
    with torch.no_grad():
        slopes = [
            (critic(y).flatten() - critic(x).flatten()).abs() / (y - x).flatten(1).norm(dim=1)
            for y in (x + near, torch.randn(64, *shape), 5 * x)
        ]
    gradients = [observed(critic, points) for points in (x, 3 * x, 0.1 * x)]
    return max(float(torch.stack(slopes).max()), *gradients)


@pytest.mark.parametrize("case", LAYERS)
def test_convolutions_are_bounded_and_not_by_far(case: tuple[Any, ...]) -> None:
    channels, out, kernel, stride, padding, dilation, groups, size = case
    layer = nn.Conv2d(channels, out, kernel, stride, padding, dilation=dilation, groups=groups if out % 2 == 0 else 1)
    exact, bound = explicit_norm(layer, (channels, *size)), certify(layer, (channels, *size))
    assert bound >= exact
    # A circle is steeper than a map, less and less so as it grows; most of a pixel's taps see nothing.
    if min(size) > 1:
        assert bound <= exact * (1.05 if min(size) > 10 else 1.3)


def test_the_bound_of_a_convolution_is_that_of_the_circular_one_in_numpy() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1).double()
    spectrum = torch.fft.fft2(layer.weight.detach(), s=(8, 8)).permute(2, 3, 0, 1)
    expected = max(float(torch.linalg.matrix_norm(m, 2)) for m in spectrum.flatten(0, 1))
    assert certify(layer, (3, 6, 6)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_paddings_that_have_names(padding: str) -> None:
    layer = nn.Conv2d(2, 3, 3, padding=padding)
    assert 1 <= certify(layer, (2, 15, 15)) / explicit_norm(layer, (2, 15, 15)) < 1.05


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(2), nn.AvgPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d((2, 3)),
        nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(3), nn.AvgPool2d(2, divisor_override=2),
        nn.AvgPool2d(2, divisor_override=-2),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_pools(pool: nn.Module, size: tuple[int, int]) -> None:
    exact, bound = explicit_norm(pool, (2, *size)), certify(pool, (2, *size))
    assert exact <= bound <= 1.5 * exact
    if pool.kernel_size == pool.stride if isinstance(pool, nn.AvgPool2d) else size == (6, 6):  # no overlap
        assert bound == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_by_their_steepest_slope_on_a_line(activation: nn.Module) -> None:
    x = torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    points = torch.stack([x, -0.3 * x, 0.1 * x], 1)
    moved = activation.double().eval()(points)
    slopes = moved.diff(dim=0).norm(dim=1) / points.diff(dim=0).norm(dim=1)
    single = (activation(x[:, None]).diff(dim=0) / x[:, None].diff(dim=0)).abs().max()
    bound = certify(activation, (3,))
    assert float(slopes.max()) <= bound * (1 + 1e-9)
    assert float(single) == pytest.approx(bound, rel=1e-6)


def test_the_steepest_slope_of_silu_is_never_undercut() -> None:
    def slope(x: float) -> float:
        sigmoid = 1 / (1 + math.exp(-x))
        return sigmoid * (1 + x * (1 - sigmoid))

    steepest = -minimize_scalar(lambda x: -slope(x), bounds=(1, 4), method="bounded", options={"xatol": 1e-9}).fun
    assert steepest <= certify(nn.SiLU(), (1,)) < steepest * (1 + 1e-8)


def test_dense_layers_multiply() -> None:
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 1))
    norms = [float(torch.linalg.matrix_norm(critic[i].weight.detach().double(), 2)) for i in (1, 3)]
    assert norms[0] * norms[1] <= certify(critic, (3, 2, 2)) <= norms[0] * norms[1] * (1 + 1e-5)


def test_what_a_critic_has_beside_what_it_uses_counts_for_nothing() -> None:
    critic = Critic(nn.Sequential(nn.Flatten(), nn.Linear(5, 3), nn.ReLU()), 3, (5,))
    exact = certify(critic, (5,))
    critic.probe = nn.Linear(1, 1)
    features = critic.features
    del critic.features
    critic.features = features  # behind the head
    assert certify(critic, (5,)) == exact


def test_the_critic_is_left_as_it_is() -> None:
    critic = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    certify(critic, (4,)), observed(critic, torch.randn(3, 4))
    assert critic.training and critic[0].weight.dtype == torch.float32


def test_spectral_norm_is_read_as_it_is_used() -> None:
    layer = spectral_norm(nn.Linear(9, 5))
    exact = float(torch.linalg.matrix_norm(layer.eval().weight.detach().double(), 2))
    assert exact <= certify(layer, (9,)) <= exact * (1 + 1e-5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("hook", [nn.utils.spectral_norm, nn.utils.weight_norm])
def test_a_weight_that_a_hook_computes_is_not_known_before_the_next_pass(hook: Any) -> None:
    layer = hook(nn.Linear(9, 5))
    layer(torch.zeros(2, 9))
    with pytest.raises(UsageError, match=r"layer critic \(Linear\) has hooks"):
        certify(layer, (9,))


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("shape", [(3, 12, 9), (1, 50, 52)])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_no_critic_is_steeper_than_its_bound(family: str, shape: tuple[int, ...], orthogonal: bool) -> None:
    critic: nn.Module = make_critic(family, shape, width=4, norm="none")
    if orthogonal:
        critic = Orthogonal(2.0).prepare(critic)
    bound = certify(critic, shape)
    assert 0 < steepest_seen(critic, shape) <= bound
    assert not orthogonal or 2 <= bound <= 2 * 1.01


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "silu"])
def test_vectors_too(activation: str) -> None:
    critic = make_critic("mlp", (5,), width=8, activation=activation)
    assert steepest_seen(critic, (5,)) <= certify(critic, (5,))


def test_a_trained_bound_is_reached_by_a_linear_critic() -> None:
    critic = make_critic("mlp", (7,), depth=0)
    assert observed(critic, torch.randn(600, 7)) == pytest.approx(certify(critic, (7,)), rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(20, 8), (20,)),
        (nn.Linear(8, 20), (8,)),
        (OrthogonalConv2d(3, 16, (4, 4), (2, 2), (1, 1)), (3, 8, 8)),
        (OrthogonalConv2d(8, 8, (3, 3), padding=(1, 1)), (8, 6, 6)),
    ],
    ids=str,
)
def test_tight_for_orthogonal_layers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    layer = Orthogonal().prepare(nn.Sequential(layer))
    exact, bound = explicit_norm(layer, shape), certify(layer, shape)
    assert exact <= bound <= 1.01 * exact


class Unknown(nn.Module):
    """Twice its input, which nobody can see from outside."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Unknown(), r"layer 1 \(Unknown\) has no known bound; use nn.Sequential"),
        (nn.LayerNorm(4), r"layer 1 \(LayerNorm\) .* use norm='none' \(--critic-norm none\)"),
        (nn.BatchNorm1d(4), r"layer 1 \(BatchNorm1d\) .* \(--critic-norm none\)"),
        (nn.Conv1d(1, 1, 3), "no known bound"),
    ],
)
def test_what_has_no_bound_is_refused_in_words(layer: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        certify(nn.Sequential(nn.Linear(4, 4), layer), (4,))


def test_other_paddings_than_zeros_are_refused() -> None:
    with pytest.raises(UsageError, match="padding_mode='circular'"):
        certify(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 5, 5))


def test_a_layer_that_comes_twice_counts_twice() -> None:
    linear, last = nn.Linear(4, 4), nn.Linear(4, 1)
    norms = [float(torch.linalg.matrix_norm(layer.weight.detach().double(), 2)) for layer in (linear, last)]
    assert certify(nn.Sequential(linear, linear, last), (4,)) == pytest.approx(norms[0] ** 2 * norms[1], rel=1e-5)


class Steeper(Critic):
    """A critic with a pass of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return 100 * super().forward(x)


def test_what_a_pass_does_besides_its_layers_is_refused() -> None:
    def hundredfold(module: nn.Module, x: Any, made: Tensor) -> Tensor:
        return 100 * made

    with pytest.raises(UsageError, match=r"critic \(Steeper\) has no known bound"):
        certify(Steeper(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), 3, (4,)), (4,))
    for place in (0, None):
        critic = nn.Sequential(nn.Linear(4, 1))
        (critic if place is None else critic[place]).register_forward_hook(hundredfold)
        with pytest.raises(UsageError, match=r"has hooks or a forward of its own"):
            certify(critic, (4,))
    critic = nn.Sequential(nn.Linear(4, 1))
    critic[0].forward = lambda x: 100 * x.sum(1, keepdim=True)
    with pytest.raises(UsageError, match=r"has hooks or a forward of its own"):
        certify(critic, (4,))


def test_a_parametrised_orthogonal_convolution_is_read_as_it_is_used() -> None:
    class Tenfold(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 10 * weight

    layer = OrthogonalConv2d(1, 4, (2, 2), (2, 2))
    before = certify(layer, (1, 4, 4))
    parametrize.register_parametrization(layer, "inward", Tenfold())
    assert certify(layer, (1, 4, 4)) == pytest.approx(10 * before, rel=1e-4)


def test_numbers_that_are_none_and_samples_that_are_no_maps_are_refused() -> None:
    broken = nn.Linear(4, 1)
    with torch.no_grad():
        broken.weight[0, 0] = math.nan
    with pytest.raises(UsageError, match="weights that are NaN or infinite"):
        certify(broken, (4,))
    with pytest.raises(UsageError, match="needs maps"):
        certify(nn.Conv2d(1, 1, 3), (3, 3))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (4, r"the shape is 4, but it must be \(C, H, W\) or \(D,\) of one sample"),
        ((2.0,), r"the shape is \(2.0,\), but it must be"),
        ((0,), r"the shape is \(0,\), but it must be"),
        ((5,), r"takes no samples of shape \(5,\) \(mat1 and mat2 shapes cannot be multiplied \(1x5 and 4x1\)\)\.$"),
    ],
)
def test_a_wrong_shape_is_refused_in_a_sentence(shape: Any, words: str) -> None:
    with pytest.raises(UsageError, match=f"^no certificate: .*{words}"):
        certify(nn.Linear(4, 1), shape)
    assert certify(nn.Linear(4, 1), [np.int64(4)]) > 0  # type: ignore[arg-type]


def test_a_lack_of_memory_is_not_called_a_wrong_shape() -> None:
    with pytest.raises(RuntimeError, match="allocate memory"):
        certify(nn.Linear(4, 1), (10**14,))


def test_the_steepest_of_many_points_is_seen() -> None:
    """More than are looked at together; the critic is the square of a number, whose slope is twice the number."""

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().sum(1)

    assert observed(Square(), torch.linspace(-1, 3, 1000)[:, None]) == pytest.approx(6)
    assert observed(Square(), torch.linspace(-4, 3, 1000)[:, None]) == pytest.approx(8)


def test_a_hook_before_a_layer_is_refused_by_the_certificate() -> None:
    critic = nn.Sequential(nn.Linear(4, 1))
    critic[0].register_forward_pre_hook(lambda module, given: (100 * given[0],))
    with pytest.raises(UsageError, match="has hooks or a forward of its own"):
        certify(critic, (4,))


def test_leaky_relu_with_a_negative_slope_is_as_steep_as_certified() -> None:
    assert certify(nn.LeakyReLU(-3.0), (3,)) == 3.0


@pytest.mark.parametrize("name", ["inward", "outward"])
def test_both_matrices_of_an_orthogonal_convolution_count(name: str) -> None:
    layer = OrthogonalConv2d(3, 8, (3, 3), (1, 1), (1, 1))
    before = certify(layer, (3, 6, 6))
    with torch.no_grad():
        getattr(layer, name).mul_(5)
    assert certify(layer, (3, 6, 6)) == pytest.approx(5 * before, rel=1e-4)


def test_a_spectral_norm_in_training_is_certified_as_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(40, 30), n_power_iterations=1)
    layer.eval()
    exact = float(torch.linalg.matrix_norm(layer.weight.detach().double(), 2))
    layer.train()
    assert certify(layer, (40,)) == pytest.approx(exact, rel=1e-5)
