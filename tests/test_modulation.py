"""Norms whose gains are computed from the latent."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from wgan.networks import Latent, make_generator
from wgan.networks.base import LATENT_KINDS
from wgan.networks.channels_last import placed
from wgan.networks.layers import NORM_LAYERS
from wgan.networks.modulation import Guided, Modulated


def test_each_sample_is_normed_and_then_scaled_by_what_its_latent_says() -> None:
    torch.manual_seed(0)
    layer = Modulated(nn.BatchNorm2d(3, affine=False), Latent(5), 3).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x, z = torch.randn(4, 3, 6, 7).double() + 2, torch.randn(4, 5).double()
    maps, latents = x.numpy(), z.numpy()
    mean, variance = (f(maps, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.var))
    weight, shift, bias = (p.detach().numpy() for p in (layer.gain.weight, layer.gain.bias, layer.bias))
    gains = 1 + latents @ weight.T + shift
    expected = gains[:, :, None, None] * (maps - mean) / np.sqrt(variance + 1e-5) + bias[:, None, None]
    np.testing.assert_allclose(layer(x, z).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", LATENT_KINDS)
@pytest.mark.parametrize("size", [4, 512])
def test_the_first_gains_are_spread_alike_for_latents_of_any_kind_and_size(kind: str, size: int) -> None:
    torch.manual_seed(0)
    latent = Latent(size, kind)
    layer = Modulated(nn.Identity(), latent, 256)
    gains = layer(torch.ones(1000, 256, 1, 1), latent.draw(1000, torch.Generator().manual_seed(0)))
    assert gains.mean(0).flatten().tolist() == pytest.approx([1.0] * 256, abs=0.2)
    assert gains.std(0).mean().item() == pytest.approx(0.8, rel=0.1)


def test_other_first_weights_leave_the_gains_as_they_are() -> None:
    generator = make_generator("dcgan", (1, 28, 28), Latent(64), init="normal")
    for layer in generator.modules():
        if isinstance(layer, Modulated):
            assert layer.gain.weight.std().item() == pytest.approx(0.1, rel=0.1)
            assert not layer.gain.bias.any() and not layer.bias.any()


@pytest.mark.parametrize("norm", ["batch", "layer", "instance"])
def test_bf16_keeps_maps_in_bf16_and_their_channels_last(norm: str) -> None:
    generator = placed(make_generator("dcgan", (1, 28, 28), Latent(8), norm=norm), torch.device("cpu"))
    seen: list[torch.Tensor] = []
    for layer in generator.modules():
        if isinstance(layer, Modulated):
            layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    z = torch.randn(4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = generator(z)
    assert len(seen) == 4 and {maps.dtype for maps in seen} == {torch.bfloat16}
    assert all(maps.is_contiguous(memory_format=torch.channels_last) for maps in seen)
    assert (narrow - generator(z)).abs().mean() < 0.02


def test_layers_get_the_latent_however_deep_they_are_in_guided_ones() -> None:
    inner = Guided(nn.Identity(), Modulated(nn.Identity(), Latent(2), 2))
    outer = Guided(nn.Unflatten(1, (2, 1, 1)), inner, nn.Flatten())
    z = torch.tensor([[0.5, -2.0]])
    gains = 1 + z @ inner[1].gain.weight.T
    torch.testing.assert_close(outer(z), gains * z)


@pytest.mark.parametrize(
    ("options", "modulated"),
    [
        ({}, True),
        ({"norm": "layer"}, True),
        ({"norm": "instance"}, True),
        ({"refine": False}, True),
        ({"widths": (9, 7, 5), "modulate": True}, True),
        ({"affine": False}, False),
        ({"widths": (9, 7, 5)}, False),
        ({"modulate": False}, False),
    ],
)
def test_all_norms_of_a_generator_are_modulated_or_none(options: dict[str, Any], modulated: bool) -> None:
    generator = make_generator("dcgan", (3, 20, 12), Latent(6), **options)
    assert generator.settled["modulate"] is modulated
    norms = [m for m in generator.modules() if isinstance(m, NORM_LAYERS)]
    owned = [m.norm for m in generator.modules() if isinstance(m, Modulated)]
    assert norms and len(owned) == (len(norms) if modulated else 0)
    assert all(getattr(norm, "weight", None) is None for norm in owned)


def test_gains_and_biases_of_a_modulated_norm_are_learnt() -> None:
    layer = Modulated(nn.Identity(), Latent(4), 3)
    x, z, way = torch.randn(2, 3, 2, 2), torch.randn(2, 4), torch.randn(2, 3, 2, 2)
    (layer(x, z) * way).sum().backward()
    assert {name for name, weight in layer.named_parameters() if weight.grad is not None} == {
        "gain.weight", "gain.bias", "bias"
    }  # fmt: skip
    assert layer.bias.grad is not None and torch.allclose(layer.bias.grad, way.sum((0, 2, 3)), atol=1e-5)
