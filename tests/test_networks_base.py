"""Noise, precision, memory formats and refusals."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from wgan import registry
from wgan.errors import UsageError
from wgan.networks import Latent, make_critic, make_generator

pytestmark = pytest.mark.usefixtures("one_thread")

FAMILIES = list(registry.NETWORKS)
SHAPE = (3, 16, 13)


@pytest.mark.parametrize(
    ("kind", "mean", "variance", "low", "high"),
    [("normal", 0, 1, -10, 10), ("uniform", 0, 1 / 3, -1, 1), ("unit", 0.5, 1 / 12, 0, 1)],
)
def test_latents_follow_their_distribution(kind: str, mean: float, variance: float, low: float, high: float) -> None:
    z = Latent(50, kind).draw(2000, torch.Generator().manual_seed(3))
    assert z.shape == (2000, 50)
    assert z.dtype == torch.float32
    assert z.mean().item() == pytest.approx(mean, abs=0.02)
    assert z.var().item() == pytest.approx(variance, rel=0.02)
    assert low <= z.min() < z.max() <= high


@pytest.mark.parametrize("kind", ["normal", "uniform", "unit"])
def test_latents_hang_on_the_given_generator_only(kind: str) -> None:
    latent = Latent(5, kind)
    rng = torch.Generator().manual_seed(7)
    state = torch.get_rng_state()
    first, second = latent.draw(4, rng), latent.draw(4, rng)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(latent.draw(4, torch.Generator().manual_seed(7)), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("family", FAMILIES)
def test_float64_goes_through(family: str) -> None:
    generator = make_generator(family, SHAPE, Latent(4), width=4).double()
    critic = make_critic(family, SHAPE, width=4).double()
    x = generator(torch.randn(3, 4, dtype=torch.float64))
    assert x.dtype == critic(x).dtype == torch.float64


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_scores_and_the_last_layer_are_fp32_under_bf16(family: str, norm: str) -> None:
    critic = make_critic(family, SHAPE, width=4, norm=norm)
    seen: list[torch.dtype] = []
    hidden = [m for m in critic.features.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in hidden:
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    x = torch.randn(3, *SHAPE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = critic(x)
        gradient = torch.func.grad(lambda inputs: critic(inputs).sum())(x)
    assert set(seen) == {torch.bfloat16}
    assert scores.dtype == gradient.dtype == torch.float32
    (scores.sum() + gradient.flatten(1).norm(dim=1).mean()).backward()
    assert critic.head.weight.grad is not None
    assert critic.head.weight.grad.dtype == torch.float32
    assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


def test_the_last_layer_loses_nothing_to_bf16() -> None:
    """Scores of a critic without hidden layers are those of a float32 dot product."""
    critic = make_critic("mlp", (1000,), depth=0)
    x = torch.randn(8, 1000)
    expected = x.double() @ critic.head.weight[0].double() + critic.head.bias.double()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(critic(x).double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_are_fp32_under_bf16(family: str) -> None:
    generator = make_generator(family, SHAPE, Latent(4), width=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = generator(torch.randn(3, 4))
    assert x.dtype == torch.float32
    assert x.abs().max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_channels_last_changes_nothing(family: str) -> None:
    generator = make_generator(family, SHAPE, Latent(4), width=4).eval()
    critic = make_critic(family, SHAPE, width=4)
    z = torch.randn(3, 4)
    x = generator(z)
    scores = critic(x)
    generator.to(memory_format=torch.channels_last)
    critic.to(memory_format=torch.channels_last)
    assert torch.allclose(generator(z), x, atol=1e-5)
    assert torch.allclose(critic(x.contiguous(memory_format=torch.channels_last)), scores, atol=1e-5)
    torch.func.grad(lambda inputs: critic(inputs).sum())(x.contiguous(memory_format=torch.channels_last))


def test_a_score_takes_one_power_iteration_of_a_spectral_head() -> None:
    """Reading a reparametrised weight advances it, so the critic must read it once."""
    critic = make_critic("mlp", (6,), depth=1, width=4)
    spectral_norm(critic.head)
    reads: list[int] = []
    critic.head.parametrizations.weight[0].register_forward_hook(lambda *_: reads.append(1))
    critic(torch.randn(2, 6))
    assert len(reads) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_sample_in_evaluation(family: str) -> None:
    generator = make_generator(family, SHAPE, Latent(4), width=4).eval()
    critic = make_critic(family, SHAPE, width=4).eval()
    with torch.no_grad():
        assert critic(generator(torch.randn(1, 4))).shape == (1,)


PICTURE = (1, 28, 28)
REFUSALS: list[tuple[Callable[[], Any], str]] = [
    (lambda: make_critic("dcgn", PICTURE), "unknown network family 'dcgn'. Did you mean 'dcgan'?"),
    (lambda: make_critic("dcgan", (2,)), "dcgan networks are for pictures.*use family 'mlp'"),
    (lambda: make_generator("conv", (2,), Latent()), "conv networks are for pictures.*use family 'mlp'"),
    (lambda: make_generator("resnet", (2,), Latent()), "resnet networks are for pictures.*use family 'mlp'"),
    (lambda: make_critic("dcgan", (28, 28)), r"samples of shape \(28x28\).*give \(C, H, W\) or \(D,\)"),
    (lambda: make_critic("dcgan", (1, 0, 28)), r"samples of shape \(1x0x28\).*at least 1"),
    (lambda: make_critic("auto", ()), "samples of shape"),
    (lambda: make_critic("mlp", PICTURE, norm="instance"), r"critic \(mlp\): norm 'instance'.*batch, layer"),
    (lambda: make_critic("dcgan", PICTURE, norm="bach"), "unknown norm 'bach'. Did you mean 'batch'?"),
    (lambda: make_critic("mlp", PICTURE, activation="tanh"), "unknown activation 'tanh'.*silu"),
    (lambda: make_critic("mlp", PICTURE, init="he"), "unknown init 'he'.*normal"),
    (lambda: make_critic("auto", PICTURE, stem=True), r"critic \(dcgan\): option 'stem'.*takes width, depth"),
    (lambda: make_generator("conv", PICTURE, Latent(), kernel=3), r"generator \(conv\): option 'kernel'"),
    (lambda: make_generator("conv", PICTURE, Latent(), dropout=0.1), "option 'dropout'"),
    (lambda: make_critic("mlp", PICTURE, colour=3), "option 'colour'"),
    (lambda: make_critic("dcgan", PICTURE, kernel=7), "kernel is 7; give 3, 4 or 5"),
    (lambda: make_generator("dcgan", (1, 4, 4), Latent(), kernel=2), "kernel is 2; give 3, 4 or 5"),
    (lambda: make_critic("dcgan", PICTURE, dropout=1.0), "dropout is 1;"),
    (lambda: make_critic("dcgan", PICTURE, dropout=-0.1), "dropout is -0.1;"),
    (lambda: make_critic("dcgan", PICTURE, width=0), "width is 0; give at least 1"),
    (lambda: make_critic("mlp", (2,), width=0), "width is 0; give at least 1"),
    (lambda: make_generator("mlp", (2,), Latent(), width=-1), "width is -1; give at least 1"),
    (lambda: make_critic("resnet", PICTURE, width=0), "width is 0; give at least 1"),
    (lambda: make_critic("dcgan", PICTURE, widths=(8, 0)), "width is 0; give at least 1"),
    (lambda: make_critic("dcgan", PICTURE, widths=(8, 8), width=8), "width and widths are both given"),
    (lambda: make_critic("dcgan", PICTURE, widths=(8, 8, 8), depth=2), "widths has 3 numbers, but depth 2"),
    (lambda: make_critic("dcgan", PICTURE, widths=(8,) * 9), "widths has 9 numbers.*takes 1 to 5"),
    (lambda: make_generator("resnet", PICTURE, Latent(), widths=()), "widths has 0 numbers"),
    (lambda: make_critic("dcgan", PICTURE, depth=6), "depth 6 is impossible on 1x28x28: give 0 to 5"),
    (lambda: make_critic("resnet", PICTURE, depth=6), "depth 6 is impossible on 1x28x28: give 0 to 5"),
    (lambda: make_critic("conv", PICTURE, depth=0), "depth 0 is impossible on 1x28x28: give 1 to 5"),
    (lambda: make_critic("mlp", PICTURE, depth=-1), "depth -1 is impossible"),
    (lambda: make_generator("conv", PICTURE, Latent(), stem=False, depth=3), "depth 3 .*: give 5"),
    (lambda: make_generator("dcgan", PICTURE, Latent(), refine=True, widths=(8, 8), depth=2), "widths has 2 numbers"),
    (lambda: make_generator("conv", PICTURE, Latent(), refine=True), "option 'refine'"),
    (lambda: make_generator("conv", PICTURE, Latent(), modulate=True), "option 'modulate'"),
    (lambda: make_generator("dcgan", PICTURE, Latent(), modulate=True, norm="none"), "modulate .* there are none"),
    (lambda: make_generator("dcgan", PICTURE, Latent(), modulate=True, affine=False), "modulate .* or turn them on"),
    (lambda: Latent(0), "latent: 0 is too small; at least 1 is allowed"),
    (lambda: Latent(2.5), "latent: 2.5 is not a whole number"),  # type: ignore[arg-type]
    (lambda: Latent(3, "unifrm"), "unknown latent kind 'unifrm'. Did you mean 'uniform'?"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS)
def test_what_is_impossible_is_refused_with_the_remedy(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_latent_hangs_on_its_seed_and_number_alone() -> None:
    latent = Latent(3)
    one, many = (list(latent.blocks(n, 7)) for n in (1, 65))
    assert [block.shape for block in many] == [(64, 3), (64, 3)]
    assert torch.equal(one[0], many[0]) and not torch.equal(many[0], many[1])
    assert not torch.equal(next(latent.blocks(1, 8)), one[0])
    with pytest.raises(UsageError, match="n: 0 is too small"):
        latent.blocks(0, 7)
