"""The order of maps in memory: nothing but speed depends on it."""

import pytest
import torch
from torch import Tensor, nn

from wgan.networks import Latent, make_critic, make_generator
from wgan.networks.channels_last import Head, placed


def maps(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_a_head_is_a_linear_layer_of_the_flattened_maps(order: torch.memory_format) -> None:
    head = Head(3 * 4 * 5, 2).double()
    plain = nn.Linear(3 * 4 * 5, 2).double()
    plain.load_state_dict(head.state_dict())
    x = maps(6, 3, 4, 5).to(memory_format=order).requires_grad_()
    ours, theirs = head(x), plain(x.flatten(1))
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    for mine, wanted in zip(
        torch.autograd.grad(ours.square().sum(), [x, *head.parameters()]),
        torch.autograd.grad(theirs.square().sum(), [x, *plain.parameters()]),
        strict=True,
    ):
        assert torch.allclose(mine, wanted, rtol=1e-10, atol=1e-12)
    assert torch.equal(head(x.flatten(1)), theirs)


def test_a_critic_takes_another_head() -> None:
    critic = make_critic("dcgan", (1, 16, 16), width=4)
    x, kept = torch.randn(3, 1, 16, 16), critic.head
    wanted = critic(x)
    critic.head = nn.Linear(kept.in_features, 1)
    critic.head.load_state_dict(kept.state_dict())
    assert torch.allclose(critic(x), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["dcgan", "conv", "resnet"])
def test_maps_and_their_gradients_have_their_channels_last(family: str) -> None:
    seen: dict[str, bool] = {}

    def note(name: str, x: Tensor) -> None:
        if x.dim() == 4 and x.shape[1] > 1:
            seen[name] = x.is_contiguous(memory_format=torch.channels_last)

    generator = placed(make_generator(family, (3, 28, 28), Latent(8), width=4), torch.device("cpu"))
    critic = placed(make_critic(family, (3, 28, 28), width=4), torch.device("cpu"))
    for network in (generator.body, critic.features):
        for name, layer in network.named_modules():
            if isinstance(layer, nn.ReLU | nn.LeakyReLU):
                layer.register_forward_hook(lambda _, x, y, name=name: note(f"{name} forth", y))
                layer.register_full_backward_hook(lambda _, x, y, name=name: note(f"{name} back", y[0]))
    critic(generator(torch.randn(2, 8))).sum().backward()
    assert seen
    assert [name for name, last in seen.items() if not last] == []


def test_weights_lie_as_torch_lays_them_whatever_their_sizes() -> None:
    """Weights of a single channel look right in either order, and convolutions are slow with the wrong one."""
    for layer in (nn.Conv2d(1, 32, 4), nn.Conv2d(32, 1, 3), nn.Conv2d(8, 4, 1), nn.ConvTranspose2d(4, 1, 4)):
        wanted = nn.Sequential(layer).to(memory_format=torch.channels_last)[0].weight.stride()  # type: ignore[call-overload]
        layer.weight.data = layer.weight.data.clone(memory_format=torch.contiguous_format)
        made = placed(layer, torch.device("cpu"))
        assert made.weight.stride() == wanted
