"""The reference systems' networks, layer by layer, and the arithmetic of sizes behind them."""

import pytest
import torch
from torch import nn

from wgan.networks import Latent, make_critic, make_generator
from wgan.networks.layers import Squash
from wgan.networks.norms import InstanceNorm2d
from wgan.networks.sizes import ceil_half, chain, doubling, down_padding, even_half, halvings, up_padding

NAMES = {
    nn.BatchNorm1d: "batch",
    nn.BatchNorm2d: "batch",
    InstanceNorm2d: "instance",
    nn.GroupNorm: "layer",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky",
}


def layers(network: nn.Module) -> list[str]:
    """The leaves in words: ``conv5/2 1-64``, with + for a bias."""
    words = []
    for layer in network.modules():
        bias = "+" if getattr(layer, "bias", None) is not None else ""
        if isinstance(layer, nn.Linear):
            words.append(f"linear {layer.in_features}-{layer.out_features}{bias}")
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "up"
            sides = f"{layer.kernel_size[0]}/{layer.stride[0]}"
            words.append(f"{kind}{sides} {layer.in_channels}-{layer.out_channels}{bias}")
        elif isinstance(layer, Squash):
            words.append("tanh" if layer.gain == 1 else f"tanh of {layer.gain:g} times")
        elif type(layer) in NAMES:
            words.append(NAMES[type(layer)])
    return words


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_mlp_clip() -> None:
    generator = make_generator("mlp", (1, 32, 32), Latent(100))
    critic = make_critic("mlp", (1, 32, 32))
    assert layers(generator) == [
        *("linear 100-128+", "leaky"),
        *("linear 128-256", "batch", "leaky", "linear 256-512", "batch", "leaky"),
        *("linear 512-1024", "batch", "leaky", "linear 1024-1024+", "tanh"),
    ]
    assert layers(critic) == ["linear 1024-512+", "leaky", "linear 512-256+", "leaky", "linear 256-1+"]
    hidden = 128 * 256 + 2 * 256 + 256 * 512 + 2 * 512 + 512 * 1024 + 2 * 1024
    assert count(generator) == 101 * 128 + hidden + 1025 * 1024
    assert count(critic) == 1025 * 512 + 513 * 256 + 257


def test_dcgan_clip() -> None:
    shape = (1, 28, 28)
    generator = make_generator("dcgan", shape, Latent(32, "uniform"), widths=(128, 64, 32), depth=2, kernel=5)
    critic = make_critic("dcgan", shape, widths=(64, 128), depth=2, kernel=5)
    assert layers(generator) == [
        *("linear 32-6272", "batch", "relu", "up5/2 128-64", "batch", "relu"),
        *("up5/2 64-32", "batch", "relu", "conv3/1 32-1+", "tanh"),
    ]
    assert layers(critic) == ["conv5/2 1-64+", "leaky", "conv5/2 64-128+", "leaky", "linear 6272-1+"]
    norms = 2 * (128 + 64 + 32)
    assert count(generator) == 32 * 7 * 7 * 128 + 25 * (128 * 64 + 64 * 32) + norms + 9 * 32 + 1
    assert count(critic) == 26 * 64 + (25 * 64 + 1) * 128 + 7 * 7 * 128 + 1


def test_dcgan64() -> None:
    shape = (3, 64, 64)
    widths = (1024, 512, 256, 128)
    generator = make_generator("dcgan", shape, Latent(100), widths=widths, kernel=4, norm="batch")
    critic = make_critic("dcgan", shape, widths=(64, 128, 256, 512), kernel=4, norm="instance")
    assert layers(generator) == [
        *("linear 100-16384", "batch", "relu", "up4/2 1024-512", "batch", "relu"),
        *("up4/2 512-256", "batch", "relu", "up4/2 256-128", "batch", "relu", "up4/2 128-3+", "tanh"),
    ]
    assert layers(critic) == [
        *("conv4/2 3-64+", "leaky", "conv4/2 64-128", "instance", "leaky"),
        *("conv4/2 128-256", "instance", "leaky", "conv4/2 256-512", "instance", "leaky", "linear 8192-1+"),
    ]
    paddings = {m.padding for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)}
    assert paddings == {m.padding for m in critic.modules() if isinstance(m, nn.Conv2d)} == {(1, 1)}
    assert (count(generator), count(critic)) == (12_658_435, 2_765_633)


def test_conv_gp() -> None:
    shape = (1, 32, 32)
    generator = make_generator("conv", shape, Latent(128), widths=(512, 256, 128, 64, 32))
    critic = make_critic("conv", shape, widths=(32, 64, 128, 256, 512))
    assert layers(generator) == [
        *("linear 128-2048+", "up3/2 512-256", "layer", "relu", "up3/2 256-128", "layer", "relu"),
        *("up3/2 128-64", "layer", "relu", "up3/2 64-32", "layer", "relu", "conv3/1 32-1+", "tanh"),
    ]
    assert layers(critic) == [
        *("conv3/1 1-32+", "relu", "conv3/2 32-64+", "relu", "conv3/2 64-128+", "relu"),
        *("conv3/2 128-256+", "relu", "conv3/2 256-512+", "relu", "linear 2048-1+"),
    ]
    products = 512 * 256 + 256 * 128 + 128 * 64 + 64 * 32
    assert count(generator) == 129 * 2048 + 9 * products + 2 * (256 + 128 + 64 + 32) + 9 * 32 + 1
    assert count(critic) == 9 * (32 + products) + (32 + 64 + 128 + 256 + 512) + 2048 + 1


def test_tiny_gp() -> None:
    shape = (1, 28, 28)
    widths = (32, 16, 8, 4, 2)
    generator = make_generator("conv", shape, Latent(16, "unit"), widths=widths, stem=False, affine=False)
    critic = make_critic("conv", shape, widths=(4, 8, 16, 32), stem=False)
    stages = zip((16, *widths), widths, strict=False)
    words = [word for a, b in stages for word in (f"up3/2 {a}-{b}", "instance", "leaky")]
    assert layers(generator) == [*words, "conv3/1 2-1+", "tanh"]
    assert layers(critic) == [
        *("conv3/2 1-4", "instance", "leaky", "conv3/2 4-8", "instance", "leaky"),
        *("conv3/2 8-16", "instance", "leaky", "conv3/2 16-32", "linear 128-1+"),
    ]
    ups = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.padding for m in ups] == [(1, 1), (1, 1), (1, 1), (2, 2), (1, 1)]
    assert {m.output_padding for m in ups} == {(1, 1)}
    assert (count(generator), count(critic)) == (10_747, 6_269)


def test_resnet_32_and_64() -> None:
    """Counts by hand: a 3x3 convolution of a to b channels has 9ab + b numbers, without its bias 9ab."""

    def block(a: int, b: int, inner: int, norm: int) -> int:
        """Norms of 2 numbers a channel (norm 1) take the first convolution's bias (norm 0: none) away."""
        residual = 9 * a * inner + 9 * inner * b + b + (2 * (a + inner) if norm else inner)
        return residual + a * b + b

    generator = make_generator("resnet", (3, 32, 32), Latent(128))
    up = 3 * block(128, 128, 128, 1)
    assert count(generator) == 129 * 128 * 16 + up + 2 * 128 + 9 * 128 * 3 + 3
    critic = make_critic("resnet", (3, 32, 32))
    plain = 2 * (2 * 9 * 128 * 128 + 2 * 128)
    assert count(critic) == block(3, 128, 128, 0) + block(128, 128, 128, 0) + plain + 129
    generator = make_generator("resnet", (3, 64, 64), Latent(128))
    pairs = [(512, 512), (512, 256), (256, 128), (128, 64)]
    ups = sum(block(a, b, b, 1) for a, b in pairs)
    assert count(generator) == 129 * 512 * 16 + ups + 2 * 64 + 9 * 64 * 3 + 3
    critic = make_critic("resnet", (3, 64, 64))
    pairs = [(64, 128), (128, 256), (256, 512), (512, 512)]  # layer norm, conv a-a, layer norm, conv a-b, 1x1 a-b
    downs = sum(2 * 2 * a + 9 * a * a + 9 * a * b + b + a * b + b for a, b in pairs)
    assert count(critic) == 27 * 64 + 64 + downs + 512 * 16 + 1


def test_small_resnet_critic_takes_the_mean_over_the_last_map() -> None:
    critic = make_critic("resnet", (1, 20, 13), width=4).eval()
    x = torch.randn(2, 1, 20, 13)
    *body, _ = critic.features
    maps = nn.Sequential(*body)(x)
    assert maps.shape == (2, 4, 10, 7)
    expected = maps.mean((2, 3)) @ critic.head.weight[0] + critic.head.bias
    assert torch.allclose(critic(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("half", "expected"),
    [(ceil_half, [28, 14, 7, 4, 2, 1, 1]), (even_half, [28, 14, 8, 4, 2, 1, 1])],
)
def test_chains_reach_one_and_stay(half: object, expected: list[int]) -> None:
    assert [side for side, _ in chain((28, 28), 6, half)] == expected  # type: ignore[arg-type]


def test_each_side_halves_on_its_own() -> None:
    assert chain((5, 1), 3) == [(5, 1), (3, 1), (2, 1), (1, 1)]
    assert chain((9, 2), 3, even_half) == [(9, 2), (6, 1), (4, 1), (2, 1)]
    assert halvings((64, 28), lambda s: min(s) < 8) == 2


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_paddings_hit_the_sizes_exactly(kernel: int) -> None:
    for side in range(1, 41):
        x = torch.zeros(1, 1, side, 1)
        down = nn.Conv2d(1, 1, kernel, 2, down_padding((side, 1), kernel))
        assert down(x).shape[2:] == (ceil_half(side), 1)
        for half in (ceil_half, even_half):
            small = torch.zeros(1, 1, half(side), 1)
            padding, output_padding = up_padding((half(side), 1), (side, 1), kernel)
            up = nn.ConvTranspose2d(1, 1, kernel, 2, padding, output_padding)
            assert up(small).shape[2:] == (side, 1)


def test_widths_double_up_to_a_bound() -> None:
    assert doubling(8, 4) == (8, 16, 32, 64)
    assert doubling(8, 6, most=4) == (8, 16, 32, 32, 32, 32)
    assert doubling(8, 0) == ()
