"""Orthogonal layers and the constraint that makes a critic of them: norms by explicit matrices, sorting by numpy."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import Array, small_run, tiny_trainer
from wgan.certificate import certify
from wgan.constraints import Constraint, GradientPenalty, Orthogonal, SpectralNorm, prepared
from wgan.errors import UsageError
from wgan.networks import Latent, make_critic, make_generator
from wgan.networks.lipschitz import (
    GlobalPool,
    OrthogonalConv2d,
    newton_schulz,
    polar,
    tangent,
)
from wgan.networks.sorting import GroupSort, MaxMin
from wgan.registry import NETWORKS
from wgan.slopes import gradient_norms
from wgan.trainer import Trainer
from wgan.trainer.meter import probe

pytestmark = pytest.mark.usefixtures("one_thread")

CONVOLUTIONS = [
    # channels, into, kernel, stride, padding, (height, width)
    (1, 8, (4, 4), (2, 2), (1, 1), (8, 8)),
    (3, 8, (3, 3), (2, 2), (1, 1), (7, 6)),
    (4, 4, (3, 3), (1, 1), (1, 1), (5, 5)),
    (8, 6, (4, 4), (2, 2), (1, 1), (6, 6)),
    (2, 9, (5, 5), (2, 2), (2, 2), (7, 7)),
    (3, 5, (2, 2), (2, 2), (0, 0), (6, 7)),
    (4, 2, (1, 1), (1, 1), (0, 0), (3, 3)),
    (4, 8, (3, 3), (1, 1), (0, 0), (6, 6)),
    (3, 7, (3, 1), (1, 2), (1, 0), (6, 5)),
    (1, 4, (3, 3), (1, 1), (1, 1), (1, 1)),
    (20, 1, (4, 4), (1, 1), (0, 0), (4, 4)),
]


def singular_values(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    units = torch.eye(torch.Size(shape).numel(), dtype=torch.float64).view(-1, *shape)
    with torch.no_grad():
        return torch.linalg.svdvals(layer.double()(units).flatten(1))


def orthogonality(weight: Tensor) -> float:
    """How far the singular values of a matrix are from 1."""
    return float((torch.linalg.svdvals(weight.detach().double()) - 1).abs().max())


@pytest.mark.parametrize("channels", [1, 2, 5, 8])
@pytest.mark.parametrize("tail", [(), (3,), (4, 3)])
def test_maxmin_and_groupsort_sort_as_numpy_does(channels: int, tail: tuple[int, ...]) -> None:
    x = torch.randn(6, channels, *tail, dtype=torch.float64)
    for size, layer in [(2, MaxMin()), (2, GroupSort(2)), (3, GroupSort(3)), (8, GroupSort(8))]:
        whole = channels // size * size
        groups = x[:, :whole].numpy().reshape(6, size, whole // size, *tail)
        expected = -np.sort(-groups, axis=1).reshape(6, whole, *tail)
        assert np.allclose(layer(x)[:, :whole], expected, atol=1e-14)
        assert torch.equal(layer(x)[:, whole:], x[:, whole:])


@pytest.mark.parametrize("layer", [MaxMin(), GroupSort(4)], ids=str)
def test_sorting_keeps_norms_of_gradients(layer: nn.Module) -> None:
    x = torch.randn(5, 8, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn(5, 8, 4, 4)
    (gradient,) = torch.autograd.grad(layer(x), x, upstream)
    assert torch.allclose(gradient.norm(), upstream.norm())
    assert isinstance(layer, GroupSort) or layer(x).is_contiguous(memory_format=torch.channels_last)
    assert layer(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("channels", [1, 4, 5])
def test_maxmin_has_derivatives_of_any_order(channels: int) -> None:
    x = torch.randn(2, channels, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(MaxMin(), x)
    assert torch.autograd.gradgradcheck(MaxMin(), x)
    (wanted,) = torch.autograd.grad(MaxMin()(x).pow(3).sum(), x)
    assert torch.equal(torch.func.grad(lambda inputs: MaxMin()(inputs).pow(3).sum())(x.detach()), wanted)
    second = torch.func.grad(lambda y: torch.func.grad(lambda z: MaxMin()(z).pow(3).sum())(y).sum())(x.detach())
    assert torch.allclose(second, 6 * x, atol=1e-12)  # swapping twice leaves everything where it was


def test_maxmin_gives_maps_and_gradients_in_the_order_of_its_input() -> None:
    x = torch.randn(3, 6, 4, 4).to(memory_format=torch.channels_last).requires_grad_()
    y = MaxMin()(x)
    (gradient,) = torch.autograd.grad(y.flatten(1), x, torch.randn(3, 96))
    assert y.stride() == gradient.stride() == x.stride()


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_orthogonal_convolutions_have_norm_one_and_the_sizes_of_ordinary_ones(case: tuple) -> None:
    channels, into, kernel, stride, padding, size = case
    layer = OrthogonalConv2d(channels, into, kernel, stride, padding, bias=False)
    ordinary = nn.Conv2d(channels, into, kernel, stride, padding)
    x = torch.randn(2, channels, *size)
    assert layer(x).shape == ordinary(x).shape
    largest = float(singular_values(Orthogonal().prepare(nn.Sequential(layer)), (channels, *size))[0])
    if size == (1, 1):  # the only tap that sees a pixel need not have all its channels
        assert largest <= 1 + 1e-6
    else:
        assert largest == pytest.approx(1, abs=1e-6)


def test_a_kernel_that_is_rounded_up_reaches_further_right_and_down() -> None:
    layer, x = OrthogonalConv2d(2, 5, (3, 3), (2, 2), (1, 1), bias=False), torch.randn(2, 2, 6, 7)
    around = torch.zeros(2, 2, 9, 10)
    around[:, :, 1:7, 1:8] = x
    assert layer.weight().shape == (5, 2, 4, 4)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(around, layer.weight(), stride=2))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (5, 7)])
@pytest.mark.parametrize(
    "layer", [GlobalPool(), *Orthogonal().prepare(nn.Sequential(nn.AdaptiveAvgPool2d(1)))], ids=str
)
def test_the_pool_of_a_whole_map_has_norm_one_whatever_its_size(layer: nn.Module, size: tuple[int, int]) -> None:
    assert singular_values(layer, (3, *size)).numpy() == pytest.approx(np.ones(3), abs=1e-12)
    x = torch.full((2, 3, *size), 0.5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[:, 0].sum(), x)
    assert gradient.flatten(1).norm(dim=1).tolist() == pytest.approx([1, 1], rel=1e-12)
    assert layer(x).flatten().tolist() == pytest.approx([0.5 * np.sqrt(np.prod(size))] * 6, rel=1e-12)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_the_pool_of_a_window_has_norm_one(window: int) -> None:
    (layer,) = Orthogonal().prepare(nn.Sequential(nn.AvgPool2d(window)))
    assert singular_values(layer, (2, 6, 6)).numpy() == pytest.approx(np.ones(2 * (6 // window) ** 2), abs=1e-12)


def test_a_kernel_as_large_as_the_stride_loses_nothing() -> None:
    layer = Orthogonal().prepare(nn.Sequential(nn.Conv2d(3, 12, 2, 2, bias=False)))
    assert singular_values(layer, (3, 6, 6)).numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("stride", "by"), [((2, 2), "_DownBackward"), ((2, 1), "ConvolutionBackward0")])
def test_wide_convolutions_of_small_maps_are_products(stride: tuple[int, int], by: str) -> None:
    layer, x = OrthogonalConv2d(512, 640, (4, 4), stride, (1, 1)), torch.randn(2, 512, 8, 8)
    weight = layer.weight()
    assert weight.is_contiguous(memory_format=torch.channels_last)
    made = layer(x)
    assert made.grad_fn is not None
    assert made.grad_fn.name() == by
    assert torch.allclose(made, nn.functional.conv2d(x, weight, layer.bias, stride, (1, 1)), atol=1e-5)


def test_every_tap_of_a_kernel_is_used() -> None:
    for channels, into, kernel in [(16, 32, 3), (40, 9, 3), (64, 1, 4)]:
        weight = OrthogonalConv2d(channels, into, (kernel, kernel)).weight()
        assert (weight.detach().flatten(2).norm(dim=(0, 1)) > 0.01).all()


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (1, 6), (6, 1)])
def test_the_polar_factor_is_the_nearest_orthogonal_matrix(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, dtype=torch.float64)
    u, s, v = np.linalg.svd(weight.numpy(), full_matrices=False)
    assert np.allclose(polar(weight), u @ v)
    assert float((weight - polar(weight)).norm()) == pytest.approx(np.sqrt(((s - 1) ** 2).sum()))  # no Q is nearer


@pytest.mark.parametrize("shape", [(16, 16), (6, 20), (20, 6), (1, 9)])
def test_newton_schulz_takes_singular_values_where_its_polynomial_does(shape: tuple[int, int]) -> None:
    u, _, v = np.linalg.svd(np.random.default_rng(0).normal(size=shape), full_matrices=False)
    s = np.linspace(0.97, 1.03, min(shape))
    weight = torch.from_numpy((u * s) @ v)
    assert np.allclose(newton_schulz(weight, most=1), (u * (1.5 * s - 0.5 * s**3)) @ v, atol=1e-12)
    assert np.abs(np.linalg.svd(newton_schulz(weight), compute_uv=False) ** 2 - 1).max() < 1e-2
    assert np.allclose(newton_schulz(weight, 1e-12), u @ v, atol=1e-9)
    assert np.allclose(newton_schulz(3 * weight, norm=3), 3 * newton_schulz(weight), atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.7, 2.0, 30.0])
def test_newton_schulz_never_leaves_a_norm_above_one(scale: float) -> None:
    weight = polar(torch.randn(12, 20)) * scale
    assert float(torch.linalg.matrix_norm(newton_schulz(weight, most=1), 2)) <= 1 + 1e-6
    assert orthogonality(newton_schulz(torch.randn(100, 200) * scale / 20)) < 1e-2  # from far away too


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_the_tangent_part_is_the_gradient_of_the_canonical_metric(shape: tuple[int, int], norm: float) -> None:
    q, gradient = polar(torch.randn(shape, dtype=torch.float64)), torch.randn(shape, dtype=torch.float64)
    along = tangent(gradient, norm * q, norm)
    for step, most in [(1e-3, 1e-5), (1e-5, 1e-9)]:
        assert orthogonality(q + step * along / along.norm()) < most
    q, gradient, along = (each.mT if shape[0] < shape[1] else each for each in (q, gradient, along))
    rows, columns = (torch.eye(n, dtype=torch.float64) for n in q.shape)
    turn, off = torch.randn_like(columns), torch.randn_like(q)
    direction = q @ (turn - turn.mT) + (rows - q @ q.mT) @ off  # of all along which q stays orthogonal
    found = torch.trace(along.mT @ (rows - q @ q.mT / 2) @ direction)
    assert float(found) == pytest.approx(float((gradient * direction).sum()), rel=1e-10)


def out_of_the_tangent(gradient: Array, weight: Array) -> float:
    """The symmetric part that a step along a gradient adds to the square of a matrix, as a share of the gradient."""
    mixed = gradient @ weight.T if len(weight) <= weight.shape[1] else gradient.T @ weight
    return float(np.abs(mixed + mixed.T).max() / np.abs(gradient).max())


@pytest.mark.parametrize("family", ["mlp", "dcgan"])
def test_the_optimizer_sees_the_part_of_a_gradient_that_keeps_matrices_orthogonal(family: str) -> None:
    shape = (1, 8, 8)
    features = nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 30)
    perceptron = nn.Sequential(nn.Flatten(), *features, nn.Linear(30, 1))
    critic = Orthogonal(2.0).prepare(perceptron if family == "mlp" else make_critic("dcgan", shape, width=4)).double()
    x, plain = torch.randn(16, *shape, dtype=torch.float64), {k: w.detach() for k, w in critic.named_parameters()}
    copies = {name: weight.clone().requires_grad_() for name, weight in plain.items()}  # which have no hooks
    torch.func.functional_call(critic, copies, x).square().mean().backward()
    critic(x).square().mean().backward()
    matrices = [name for name, weight in plain.items() if weight.dim() == 2]
    assert len(matrices) >= 3
    for name, weight in critic.named_parameters():
        seen, raw = weight.grad, copies[name].grad
        assert seen is not None and raw is not None
        if weight.dim() != 2:
            assert torch.allclose(seen, raw, rtol=1e-9)
            continue
        w, g = weight.detach().numpy(), seen.numpy()
        assert out_of_the_tangent(g, w) < 1e-6 and out_of_the_tangent(raw.numpy(), w) > 1e-3
        expected = raw.numpy() - w @ raw.numpy().T @ w / (4 if name == matrices[-1] else 1)
        assert g == pytest.approx(expected, rel=1e-5, abs=1e-7 * np.abs(g).max())


def gradients(critic: nn.Module, x: Tensor) -> list[tuple[Array, Array, Array]]:
    """Each matrix W, its gradient without any hook, G, and the gradient that an optimizer sees."""
    bare = copy.deepcopy(critic)  # which takes no hooks along
    for network in (bare, critic):
        network.zero_grad()
        network(x).square().mean().backward()
    pairs = zip(bare.parameters(), critic.parameters(), strict=True)
    return [(w.detach().numpy(), b.grad.numpy(), w.grad.numpy()) for b, w in pairs if w.dim() == 2]


def test_a_critic_that_is_given_to_trainers_again_heeds_the_last_one_alone() -> None:
    critic = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1))
    x = torch.randn(16, 6)
    for _ in range(3):  # as when a cell of a notebook runs again
        Trainer(nn.Linear(4, 6), critic, constraint=Orthogonal(), latent=Latent(4))
    for w, g, seen in gradients(critic, x):
        assert seen == pytest.approx(g - w @ g.T @ w, rel=1e-4, abs=1e-6)
        assert seen != pytest.approx(g, rel=1e-2)

    class Mine(Constraint):
        certified = True

    for constraint in (Mine(), GradientPenalty(), SpectralNorm()):
        Orthogonal().prepare(critic)
        Trainer(nn.Linear(4, 6), critic, constraint=constraint, latent=Latent(4))
        assert all(seen == pytest.approx(g, rel=1e-6) for _, g, seen in gradients(critic, x))


def test_a_constraint_that_refuses_a_critic_leaves_it_orthogonal() -> None:
    critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    x = torch.randn(16, 1, 4, 4)
    Orthogonal().prepare(critic)
    with pytest.raises(UsageError, match="outward"):
        prepared(SpectralNorm(), critic)
    for w, g, seen in gradients(critic, x):
        assert seen == pytest.approx(g - w @ g.T @ w, rel=1e-4, abs=1e-6)


def test_the_optimizer_of_a_training_sees_that_part_alone() -> None:
    trainer, seen = tiny_trainer(constraint=Orthogonal(), critic_steps=1), list[tuple[Array, Array]]()
    for weight in trainer.critic.parameters():
        if weight.dim() == 2:
            weight.register_post_accumulate_grad_hook(
                lambda p: seen.append((p.grad.numpy().copy(), p.detach().numpy().copy()))
            )
    trainer.critic_step()
    assert len(seen) == 2
    assert all(
        np.abs(gradient).max() > 1e-3 and out_of_the_tangent(gradient, weight) < 1e-6 for gradient, weight in seen
    )


@pytest.mark.parametrize("family", NETWORKS)
def test_every_family_trains_and_stays_within_its_bound(family: str) -> None:
    shape = (3, 16, 16)
    critic = make_critic(family, shape, width=4, norm="none")
    generator = make_generator(family, shape, Latent(4), width=4)
    trainer = Trainer(generator, critic, constraint=Orthogonal(2.0), batch=8, critic_steps=2, critic_lr=2e-3)
    trainer.attach(torch.randn(40, *shape).clamp(-1, 1).permute(0, 2, 3, 1).numpy())
    before = {name: weight.detach().clone() for name, weight in trainer.critic.named_parameters()}
    for _ in range(5):
        trainer.advance()
    still = [n for n, w in trainer.critic.named_parameters() if w.dim() == 2 and torch.equal(w, before[n])]
    assert not still
    matrices = [w for w in trainer.critic.parameters() if w.dim() == 2]
    assert max(orthogonality(weight) for weight in matrices[:-1]) < 0.01
    assert orthogonality(matrices[-1] / 2) < 0.01
    assert certify(trainer.critic, shape) == pytest.approx(2, rel=0.01)


def test_gradients_do_not_vanish_with_depth() -> None:
    x = torch.randn(16, 64)
    made = make_critic("mlp", (64,), width=64, depth=20)
    plain = float(gradient_norms(made, x).detach().mean())
    assert plain < 0.01
    assert gradient_norms(Orthogonal().prepare(made), x).detach().numpy() == pytest.approx(1, abs=1e-4)


def test_gradients_do_not_vanish_through_convolutions() -> None:
    halvings = [(nn.Conv2d(c, 2 * c, 4, 2, 1), nn.ReLU()) for c in (4, 8, 16)]
    plain = nn.Sequential(*(nn.Sequential(*pair) for pair in halvings), nn.Flatten(), nn.Linear(32 * 16, 1))
    x = torch.randn(8, 4, 32, 32)
    assert float(gradient_norms(plain, x).detach().mean()) < 0.1
    norms = gradient_norms(Orthogonal().prepare(plain), x).detach()  # what is lost is lost at borders
    assert 0.75 < float(norms.mean()) <= 1


def test_a_linear_critic_finds_the_length_of_a_translation() -> None:
    shift = torch.tensor([2.0, -1.0, 2.0, 0.0])
    critic = Orthogonal().prepare(
        nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    )
    optimizer = torch.optim.Adam(critic.parameters(), 1e-2, betas=(0.0, 0.9))
    for _ in range(200):
        a, b = torch.randn(64, 4), torch.randn(64, 4)
        (critic(a).mean() - critic(b + shift).mean()).backward()
        optimizer.step(), optimizer.zero_grad()
        Orthogonal().project(critic)
    x = torch.randn(4000, 4)
    estimate = float((critic(x + shift) - critic(x)).detach().mean())
    assert 2.9 < estimate <= 3 * (1 + 1e-5)  # |shift| = 3, and no 1-Lipschitz critic can see more


def test_copies_bfloat16_and_the_penalty_work_on_it() -> None:
    shape = (1, 12, 12)
    critic = Orthogonal().prepare(make_critic("dcgan", shape, width=4))
    x = torch.randn(5, *shape)
    assert torch.equal(probe(critic)(x), critic(x))
    assert torch.equal(copy.deepcopy(critic)(x), critic(x))
    with torch.autocast("cpu", torch.bfloat16):
        scores = critic(x)
    assert scores.dtype == torch.float32
    assert torch.allclose(scores, critic(x), atol=0.05)
    GradientPenalty().penalty(critic, x, 2 * x, torch.rand(5)).backward()
    assert all(weight.grad is not None for weight in critic.parameters() if weight.dim() == 2)


def test_its_state_is_restored_and_its_scale_is_known(tmp_path: Path) -> None:
    state = Orthogonal().prepare(make_critic("resnet", (1, 8, 8), width=4)).state_dict()
    torch.manual_seed(1)
    other = Orthogonal().prepare(make_critic("resnet", (1, 8, 8), width=4))
    other.load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), other.state_dict().values(), strict=True))
    run = small_run(tmp_path / "r", constraint="orthogonal", steps=2)
    assert run.summary["arbitrary_scale"] is None


def test_activations_pools_and_residual_blocks_are_replaced() -> None:
    critic = Orthogonal().prepare(make_critic("resnet", (3, 16, 16), width=4))
    kinds = {type(module) for module in critic.modules()}
    assert {MaxMin, GlobalPool, OrthogonalConv2d} <= kinds
    assert not {nn.ReLU, nn.Conv2d, nn.AdaptiveAvgPool2d} & kinds
    assert all(module.divisor_override == 2 for module in critic.modules() if isinstance(module, nn.AvgPool2d))


class Custom(nn.Module):
    """A forward that nobody can see from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm2d(4), r"layer 1 \(BatchNorm2d\) .*use norm='none' \(--critic-norm none\)"),
        (nn.GroupNorm(1, 4), r"layer 1 \(GroupNorm\) .*--critic-norm none"),
        (nn.Dropout(0.5), r"layer 1 \(Dropout\) scales activations by 2; use dropout=0 \(--critic-dropout 0\)"),
        (nn.SiLU(), r"slopes up to 1.1; use activation='relu' \(--critic-activation relu\)"),
        (nn.Conv2d(4, 4, 3, groups=2), "groups, dilation"),
        (nn.Conv2d(4, 4, 3, dilation=2), "groups, dilation"),
        (nn.AvgPool2d(3, 2), "windows that overlap"),
        (nn.AdaptiveAvgPool2d(2), "windows that may overlap"),
        (nn.MultiheadAttention(4, 1), r"\(MultiheadAttention\) has no bound here; .*or use the constraint lp"),
        (Custom(), r"\(Custom\) has no bound here; build the critic with nn.Sequential"),
    ],
)
def test_what_it_cannot_hold_is_refused_with_the_remedy(layer: nn.Module, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Orthogonal().prepare(nn.Sequential(nn.Conv2d(3, 4, 3), layer))


def test_a_critic_that_is_refused_stays_as_it_was() -> None:
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.LayerNorm(4), nn.Linear(4, 1))
    with pytest.raises(UsageError, match="rescales what the others bound"):
        Orthogonal().prepare(critic)
    assert [type(layer) for layer in critic] == [nn.Linear, nn.ReLU, nn.LayerNorm, nn.Linear]
