"""Every family in the registry, on every kind of shape: what comes out and what is learnt."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wgan import registry
from wgan.config import CriticConfig, GeneratorConfig
from wgan.networks import Critic, Generator, Latent, make_critic, make_generator, resolve_family
from wgan.networks.layers import Squash

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = list(registry.NETWORKS)
PICTURE_FAMILIES = [family for family in FAMILIES if family != "mlp"]
SIZES = [(1, 1), (2, 3), (5, 7), (28, 28), (37, 53), (64, 48)]
SHAPES = [(c, *size) for c in (1, 3, 4, 5) for size in SIZES] + [(1, 1, 30), (3, 50, 50)]
CASES = [(family, shape) for family in FAMILIES for shape in SHAPES] + [("mlp", (d,)) for d in (1, 2, 17)]
# With and without what changes the layers: the stem, and norms where they are not the default.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((family, {"norm": norm}) for family in FAMILIES for norm in ("none", "layer")),
    *((family, {"norm": "layer", "affine": False}) for family in FAMILIES),
    *((family, {"norm": "instance"}) for family in PICTURE_FAMILIES),
    *((family, {"activation": name}) for family in FAMILIES for name in ("relu", "leaky_relu", "silu")),
    *((family, {"init": "normal"}) for family in FAMILIES),
    *((family, {"depth": depth}) for family in FAMILIES for depth in (1, 2, 3)),
    *(("dcgan", {"kernel": kernel}) for kernel in (3, 4, 5)),
    ("dcgan", {"depth": 0}),
    ("resnet", {"depth": 0}),
    ("mlp", {"depth": 0}),
]


def noise(latent: Latent, n: int = 3) -> Tensor:
    return latent.draw(n, torch.Generator().manual_seed(0))


def weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """Without biases and gains, some of which have no gradient where a penalty is concerned."""
    return {name: p for name, p in network.named_parameters() if p.dim() > 1}


def assert_learns(network: nn.Module, loss: Tensor) -> None:
    """One step of gradient descent changes every weight."""
    before = {name: p.detach().clone() for name, p in weights(network).items()}
    loss.backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    same = [name for name, p in weights(network).items() if torch.equal(p, before[name])]
    assert not same
    assert all(p.isfinite().all() for p in network.parameters())


def assert_differentiable_twice(critic: Critic, x: Tensor) -> None:
    """A gradient penalty reaches all weights."""
    gradient = torch.func.grad(lambda inputs: critic(inputs).sum())(x)
    assert gradient.shape == x.shape
    norms = (gradient.flatten(1).float().square().sum(1) + 1e-12).sqrt()
    grads = torch.autograd.grad((norms - 1).square().mean(), list(weights(critic).values()))
    assert all(g.isfinite().all() and g.any() for g in grads)


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_generator_makes_samples_and_learns(family: str, shape: tuple[int, ...]) -> None:
    generator = make_generator(family, shape, Latent(6), width=8)
    x = generator(noise(generator.latent))
    assert x.shape == (3, *shape)
    assert x.dtype == torch.float32
    assert (generator.shape, generator.latent) == (shape, Latent(6))
    if len(shape) == 3:
        assert x.abs().max() <= 1
    assert_learns(generator, (x * torch.randn_like(x)).sum())


@pytest.mark.parametrize(("family", "shape"), CASES)
def test_critic_scores_and_learns(family: str, shape: tuple[int, ...]) -> None:
    critic = make_critic(family, shape, width=8)
    x = torch.randn(3, *shape)
    scores = critic(x)
    assert scores.shape == (3,)
    assert critic.shape == shape
    assert_differentiable_twice(critic, x)
    assert_learns(critic, (scores * torch.tensor([1.0, 2.0, -1.0])).sum())


@pytest.mark.parametrize(("family", "options"), VARIANTS)
@pytest.mark.parametrize("shape", [(3, 12, 9), (1, 16, 16)])
def test_options_build_networks_that_learn(family: str, options: dict[str, Any], shape: tuple[int, ...]) -> None:
    width = {} if options.get("depth") == 0 and family == "mlp" else {"width": 6}
    generator = make_generator(family, shape, Latent(6), **width, **options)
    critic = make_critic(family, shape, **width, **options)
    fake = generator(noise(generator.latent))
    assert fake.shape == (3, *shape)
    if options.get("init") != "normal":
        assert_differentiable_twice(critic, torch.randn(3, *shape))
    assert_learns(critic, (critic(fake.detach()) * torch.tensor([1.0, 2.0, -1.0])).sum())
    assert_learns(generator, (fake * torch.randn_like(fake)).sum())


@pytest.mark.parametrize("gain", [1.0, 3.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_white_and_black_have_a_slope_in_every_precision(dtype: torch.dtype, gain: float) -> None:
    """In bfloat16 tanh(4) is 1, and the slope of a tanh is computed from that."""
    x = (torch.tensor([-4.0, -0.5, 0.0, 4.0], dtype=dtype) / gain).requires_grad_()
    y = Squash(gain)(x)
    y.sum().backward()
    true = np.tanh(gain * x.detach().double().numpy())
    assert y.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    np.testing.assert_allclose(y.detach().numpy(), true, rtol=1e-6)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.double().numpy(), gain * (1 - true**2), rtol=4e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_not_rounded_to_bfloat16(family: str) -> None:
    generator = make_generator(family, (1, 12, 12), Latent(6), width=8)
    with torch.autocast("cpu", torch.bfloat16):
        x = generator(noise(generator.latent))
    assert x.dtype == torch.float32
    assert (x != x.bfloat16()).float().mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (1, 28, 28)])
@pytest.mark.parametrize("refine", [None, True, False])
def test_a_refined_generator_ends_with_a_convolution_at_full_size_and_a_gain(
    refine: bool | None, shape: tuple[int, ...]
) -> None:
    generator = make_generator("dcgan", shape, Latent(6), width=7, norm="layer", refine=refine)
    last = [m for m in generator.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
    straight = refine is False and min(shape[1:]) > 4
    assert isinstance(last, nn.ConvTranspose2d if straight else nn.Conv2d)
    assert (last.stride, last.in_channels, last.out_channels) == ((2, 2) if straight else (1, 1), 7, shape[0])
    before: list[Tensor] = []
    last.register_forward_hook(lambda m, args, out: before.append(out))
    x = generator(noise(generator.latent))
    torch.testing.assert_close(x, ((1 if refine is False else 3) * before[0]).tanh())
    assert_learns(generator, (x * torch.randn_like(x)).sum())


@pytest.mark.parametrize(
    ("options", "kind", "gain"),
    [
        ({"widths": (9, 7, 5)}, nn.ConvTranspose2d, False),
        ({"widths": (9, 7, 5), "depth": 2}, nn.Conv2d, False),
        ({"widths": (9, 7, 5), "refine": True}, nn.Conv2d, True),
        ({"widths": (9, 7, 5), "refine": False}, nn.ConvTranspose2d, False),
        ({}, nn.Conv2d, True),
    ],
)
def test_widths_say_how_a_generator_ends_unless_it_is_said(options: dict[str, Any], kind: type, gain: bool) -> None:
    generator = make_generator("dcgan", (1, 28, 28), Latent(6), **options)
    assert isinstance(generator.body, nn.Sequential)
    before, last = generator.body[-2:]
    assert type(before).__name__ == kind.__name__
    assert isinstance(last, Squash)
    assert last.gain == (3.0 if gain else 1.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 3), (1, 5, 7), (3, 28, 28), (4, 37, 53), (1, 64, 48)])
def test_conv_without_stem_starts_from_one_pixel(shape: tuple[int, ...]) -> None:
    generator = make_generator("conv", shape, Latent(6), width=4, stem=False, norm="layer")
    critic = make_critic("conv", shape, width=4, stem=False)
    x = generator(noise(generator.latent))
    assert x.shape == (3, *shape)
    assert critic(x).shape == (3,)
    assert not any(isinstance(layer, nn.Linear) for layer in generator.modules())
    assert_learns(generator, (x * torch.randn_like(x)).sum())
    assert_differentiable_twice(critic, torch.randn(3, *shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_batch_norm_in_a_critic_is_allowed(family: str) -> None:
    critic = make_critic(family, (3, 16, 16), width=4, norm="batch", depth=2)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert any(isinstance(layer, kinds) for layer in critic.modules())
    assert critic(torch.randn(4, 3, 16, 16)).shape == (4,)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_acts_in_training_only(family: str) -> None:
    critic = make_critic(family, (1, 16, 16), width=8, dropout=0.5)
    x = torch.randn(4, 1, 16, 16)
    assert not torch.equal(critic(x), critic(x))
    critic.eval()
    assert torch.equal(critic(x), critic(x))


@pytest.mark.parametrize(
    ("family", "options", "widths"),
    [
        ("mlp", {}, (7, 5)),
        ("dcgan", {}, (7, 5)),
        ("dcgan", {"depth": 2}, (9, 7, 5)),
        ("conv", {}, (9, 7, 5)),
        ("conv", {"stem": False}, (11, 9, 7, 5)),
        ("resnet", {}, (9, 7, 5)),
    ],
)
def test_widths_of_generators(family: str, options: dict[str, Any], widths: tuple[int, ...]) -> None:
    """They go from the latent to the picture."""
    generator = make_generator(family, (1, 16, 16), Latent(6), widths=widths, norm="layer", **options)
    found = [p.numel() for name, p in generator.named_parameters() if p.dim() == 1 and "bias" in name]
    assert [n for n in dict.fromkeys(found) if n in widths] == [n for n in widths if n in found]
    assert set(widths[1:]) <= set(found)
    last = [m for m in generator.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)][-1]
    assert last.weight.shape[0 if isinstance(last, nn.ConvTranspose2d) else 1] == widths[-1]


@pytest.mark.parametrize(
    ("family", "widths"), [("mlp", (7, 5)), ("dcgan", (5, 7)), ("conv", (5, 7, 9)), ("resnet", (5, 7, 9, 11))]
)
def test_widths_of_critics(family: str, widths: tuple[int, ...]) -> None:
    critic = make_critic(family, (1, 16, 16), widths=widths)
    outputs = [p.shape[0] for name, p in weights(critic.features).items() if "shortcut" not in name]
    assert tuple(dict.fromkeys(outputs)) == widths
    assert critic.head.in_features % widths[-1] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_normal_init(family: str) -> None:
    norm = {"norm": "layer"}
    for network in (
        make_generator(family, (1, 16, 16), Latent(16), init="normal", width=32, **norm),
        make_critic(family, (1, 16, 16), init="normal", width=32, **norm),
    ):
        for name, p in network.named_parameters():
            if name.endswith("bias"):
                assert not p.any(), name
            elif name.endswith("gain.weight"):  # those of modulation keep their own
                assert p.std().item() == pytest.approx(0.2, rel=0.2), name
            elif p.numel() > 1000:
                assert p.std().item() == pytest.approx(0.02, rel=0.2), name
                assert abs(p.mean().item()) < 0.005, name
            elif p.dim() == 1:
                assert p.mean().item() == pytest.approx(1, abs=0.05), name
                assert 0 < p.std().item() < 0.1, name


def test_resnet_blocks_start_at_he_weights() -> None:
    critic = make_critic("resnet", (3, 32, 32), width=64)
    layers = [m for name, m in critic.named_modules() if "residual" in name and isinstance(m, nn.Conv2d)]
    assert len(layers) == 8
    for layer in layers:
        fan_in = layer.in_channels * 9
        assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_none_is_the_default_and_every_field_of_the_config_is_known(family: str) -> None:
    """Options are fields of the configuration: unset ones change nothing, and no family invents others."""
    fields = {name: None for name in vars(CriticConfig()) if name != "family"}
    assert str(make_critic(family, (1, 16, 16), **fields)) == str(make_critic(family, (1, 16, 16)))
    module = registry.NETWORKS[family].load()
    for make, config in ((module.generator, GeneratorConfig()), (module.critic, CriticConfig())):
        taken = {p.name for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY}
        assert taken <= set(vars(config)) - {"family"}
        assert {"width", "depth", "widths", "norm", "affine", "activation", "init"} <= taken


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_documented(family: str) -> None:
    module = registry.NETWORKS[family].load()
    assert "https://arxiv.org/abs/" in inspect.getdoc(module)
    for make in (module.generator, module.critic):
        for name in inspect.signature(make).parameters:
            assert f"{name}: " in inspect.getdoc(make)


def test_auto_is_dcgan_for_pictures_and_mlp_for_vectors() -> None:
    assert resolve_family("auto", (3, 32, 32)) == "dcgan"
    assert resolve_family("auto", (2,)) == "mlp"
    assert resolve_family("conv", (3, 32, 32)) == "conv"
    assert isinstance(make_generator("auto", (2,), Latent(4)), Generator)
    assert str(make_critic("auto", (1, 8, 8))) == str(make_critic("dcgan", (1, 8, 8)))


def test_vectors_are_not_squashed() -> None:
    generator = make_generator("mlp", (2,), Latent(4))
    with torch.no_grad():
        generator(noise(generator.latent))
        assert generator(1000 * noise(generator.latent)).abs().max() > 1


def test_repr_says_what_it_maps() -> None:
    generator = make_generator("dcgan", (3, 64, 48), Latent(7, "uniform"))
    total = sum(p.numel() for p in generator.parameters())
    assert f"uniform (7) -> 3x64x48, {total:,} parameters" in repr(generator)
    assert "3x64x48 -> score" in repr(make_critic("dcgan", (3, 64, 48)))
