"""Input gradients that are written out agree with automatic ones, and so do their derivatives."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from wgan.networks import Critic, make_critic
from wgan.networks.channels_last import Head, placed
from wgan.networks.convolutions import Conv2d
from wgan.networks.norms import InstanceNorm2d
from wgan.slopes import _layers, gradient_norms, input_gradient

CRITICS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "dcgan": ("dcgan", (1, 28, 28), {"width": 4}),
    "dcgan, odd sides": ("dcgan", (3, 37, 53), {"width": 2, "kernel": 5}),
    "dcgan, kernel 3, relu": ("dcgan", (4, 17, 16), {"width": 3, "kernel": 3, "activation": "relu"}),
    "dcgan, too small to halve": ("dcgan", (1, 5, 1), {"width": 4}),
    "conv": ("conv", (1, 32, 32), {"widths": (2, 4, 6)}),
    "dcgan with instance norms": ("dcgan", (3, 16, 24), {"widths": (4, 6, 8), "norm": "instance"}),
    "mlp on pictures": ("mlp", (1, 8, 8), {"widths": (16, 8)}),
    "mlp on vectors": ("mlp", (5,), {"widths": (16, 8), "activation": "relu"}),
}
OTHERS: dict[str, dict[str, Any]] = {
    "norm": {"norm": "layer"},
    "smooth": {"activation": "silu"},
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    family, shape, options = CRITICS[name]
    torch.manual_seed(0)
    critic = placed(make_critic(family, shape, **options).double(), torch.device("cpu"))
    return critic, torch.randn(6, *shape, dtype=torch.float64)


def automatic(critic: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient


def derivatives(gradient: Tensor, critic: nn.Module) -> list[Tensor]:
    loss = gradient.flatten(1).norm(dim=1).sub(1).square().mean()
    return list(torch.autograd.grad(loss, list(critic.parameters()), materialize_grads=True))


@pytest.mark.parametrize("name", CRITICS)
def test_it_is_the_automatic_gradient(name: str) -> None:
    critic, x = made(name)
    assert _layers(critic)
    found, wanted = input_gradient(critic, x), automatic(critic, x)
    assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-14)
    for a, b in zip(derivatives(found, critic), derivatives(wanted, critic), strict=True):
        assert b.dim() == 1 or float(b.abs().max()) > 0  # without a norm, the slope does not see the biases
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-13)


def test_instance_norms_are_written_out_there() -> None:
    critic, x = made("dcgan with instance norms")
    seen: list[bool] = []
    for layer in critic.modules():
        if isinstance(layer, InstanceNorm2d):
            layer.register_forward_hook(lambda layer, inputs, _: seen.append(layer.written_out(inputs[0])))
    critic(x)
    assert seen == [True, True]


@pytest.mark.parametrize("maps", [False, True])
def test_a_head_among_the_features_is_a_linear_layer_of_what_is_flattened(maps: bool) -> None:
    torch.manual_seed(0)
    before = [Conv2d(2, 3, 3, padding=1), nn.LeakyReLU(0.2)] if maps else []
    critic = Critic(nn.Sequential(*before, Head(12 * (2 + maps), 5), nn.ReLU()), 5, (2, 3, 4)).double()
    x = torch.randn(6, 2, 3, 4, dtype=torch.float64)
    assert _layers(critic)
    found, wanted = input_gradient(critic, x), automatic(critic, x)
    assert torch.allclose(found, wanted, rtol=1e-10)
    for a, b in zip(derivatives(found, critic), derivatives(wanted, critic), strict=True):
        assert torch.allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("name", ["dcgan", "dcgan with instance norms", "mlp on pictures"])
def test_it_is_so_in_bfloat16(name: str) -> None:
    critic, x = made(name)
    critic, x = critic.float(), x.float()
    with torch.autocast("cpu", torch.bfloat16):
        pairs = input_gradient(critic, x), automatic(critic, x)
    found, wanted = ([each, *derivatives(each.float(), critic)] for each in pairs)
    for a, b in zip(found, wanted, strict=True):
        assert float((a - b).detach().norm()) <= 0.02 * float(b.detach().norm())


@pytest.mark.parametrize("name", OTHERS)
def test_other_critics_are_left_to_pytorch(name: str) -> None:
    critic = make_critic("dcgan", (1, 16, 16), width=4, **OTHERS[name]).double()
    x = torch.randn(6, 1, 16, 16, dtype=torch.float64)
    assert _layers(critic) is None
    assert torch.allclose(input_gradient(critic, x), automatic(critic, x), rtol=1e-10)


def test_a_module_of_a_users_own_is_left_to_pytorch() -> None:
    class Squared(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).square()

    assert _layers(nn.Sequential(nn.Linear(3, 1))) is None
    for part in (lambda critic: critic, lambda critic: critic.features, lambda critic: critic.features[1][0]):
        critic = make_critic("mlp", (4,), widths=(4, 4)).double()
        usual = part(critic).forward
        part(critic).forward = lambda x, usual=usual: 3 * usual(x)
        x = torch.randn(5, 4, dtype=torch.float64)
        assert torch.allclose(input_gradient(critic, x), automatic(critic, x), rtol=1e-10)
    for change in (lambda layer: Squared(4, 4), spectral_norm):
        critic = make_critic("mlp", (4,), widths=(4, 4))
        critic.features[1][0] = change(critic.features[1][0])  # type: ignore[index,operator]
        assert _layers(critic) is None


class Cubed(torch.autograd.Function):
    """x^3 as PyTorch's own pages write such a function: without setup_context."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradients[0]


class Cubic(nn.Module):
    """f(x) = w . x^3, whose gradient is 3 w x^2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        cubed: Tensor = Cubed.apply(x)  # type: ignore[no-untyped-call]
        return cubed @ self.weight


def test_a_function_of_a_users_own_is_differentiated_and_so_is_its_gradient() -> None:
    critic, x = Cubic(), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        found = input_gradient(critic, x)
    assert not found.requires_grad and not x.requires_grad
    assert torch.allclose(found, 3 * critic.weight.detach() * x**2)
    assert torch.equal(input_gradient(critic, x).detach(), found)
    (slope,) = derivatives(input_gradient(critic, x), critic)
    scale = 3 * x**2  # the loss is the mean of (|w scale| - 1)^2
    norms = (scale * critic.weight.detach()).norm(dim=1, keepdim=True)
    assert torch.allclose(slope, (2 * (norms - 1) * scale**2 * critic.weight.detach() / norms).mean(0))


def test_a_score_that_does_not_hang_on_the_sample_has_no_slope() -> None:
    class Constant(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.ones_like(x))

    assert torch.equal(input_gradient(Constant(3, 1), torch.randn(5, 3)), torch.zeros(5, 3))


def shared() -> Critic:
    act, square = nn.LeakyReLU(0.2), nn.Linear(8, 8)
    return Critic(nn.Sequential(nn.Flatten(), nn.Linear(6, 8), act, square, act, square, act), 8, (1, 2, 3))


def test_layers_that_are_there_twice_count_twice() -> None:
    torch.manual_seed(0)
    critic, x = shared().double(), torch.randn(5, 1, 2, 3, dtype=torch.float64)
    assert len(_layers(critic) or []) == 8
    found, wanted = input_gradient(critic, x), automatic(critic, x)
    assert torch.allclose(found, wanted, rtol=1e-10)
    for a, b in zip(derivatives(found, critic), derivatives(wanted, critic), strict=True):
        assert torch.allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("hook", ["register_full_backward_pre_hook", "register_full_backward_hook"])
def test_what_a_hook_does_on_the_way_back_is_not_left_out(hook: str) -> None:
    critic, x = make_critic("mlp", (3,), width=8, depth=2), torch.randn(5, 3)
    plain = gradient_norms(critic, x)
    if hook == "register_full_backward_hook":
        critic.features[0].register_full_backward_hook(lambda _, inner, __: tuple(2 * each for each in inner))
    else:
        critic.features[0].register_full_backward_pre_hook(lambda _, outer: tuple(2 * each for each in outer))
    torch.testing.assert_close(gradient_norms(critic, x), 2 * plain)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weights_that_a_hook_sets_are_left_to_pytorch() -> None:
    critic = shared().double()
    critic.features[1] = torch.nn.utils.weight_norm(critic.features[1])  # type: ignore[index,operator]
    assert _layers(critic) is None
    gradient = input_gradient(critic, torch.randn(5, 1, 2, 3, dtype=torch.float64))
    (found,) = torch.autograd.grad(gradient.square().sum(), [critic.features[1].weight_v])  # type: ignore[index,union-attr,list-item]
    assert float(found.abs().max()) > 0


@pytest.mark.parametrize("name", ["dcgan", "dcgan with instance norms"])
def test_without_a_graph_where_none_is_asked_for(name: str) -> None:
    critic, x = made(name)
    with torch.no_grad():
        found = input_gradient(critic, x)
    assert not found.requires_grad
    assert torch.allclose(found, automatic(critic, x), rtol=1e-10)


def test_what_a_hook_does_on_the_way_there_is_not_left_out() -> None:
    critic, x = make_critic("mlp", (3,), width=8, depth=2), torch.randn(5, 3)
    plain = gradient_norms(critic, x)
    critic.head.register_forward_hook(lambda m, given, out: 3 * out)
    torch.testing.assert_close(gradient_norms(critic, x), 3 * plain)
