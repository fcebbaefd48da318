"""Convolutions as products of matrices: the same numbers as PyTorch's, forwards, backwards, and backwards again."""

import pytest
import torch
from torch import Tensor, nn

from wgan.networks import convolutions
from wgan.networks.convolutions import Conv2d, ConvTranspose2d, Window, down, gather, kernel_gradient, pays, scatter, up

WINDOWS = {
    "4x4, stride 2": Window((4, 4), 2, (1, 1), 8, 6),
    "5x3, stride 2, padded unlike": Window((5, 3), 2, (2, 0), 7, 9),
    "3x3, stride 1": Window((3, 3), 1, (1, 1), 4, 5),
    "4x4, stride 3": Window((4, 4), 3, (1, 1), 9, 8),
}


@pytest.fixture(params=["tiles", "no tiles", "short vectors"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the processor is taken for."""
    monkeypatch.setattr(convolutions, "multiplies_tiles", lambda: request.param == "tiles")
    monkeypatch.setattr(convolutions, "has_short_vectors", lambda: request.param == "short vectors")
    name: str = request.param
    return name


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("pixels", [0, 10_000], ids=["oneDNN", "product"])
@pytest.mark.parametrize("gathered", [1, 2**23], ids=["one by one", "at once"])
def test_the_three_are_one_form(name: str, pixels: int, gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "GATHERED", gathered)
    monkeypatch.setattr(convolutions, "PIXELS", pixels)
    monkeypatch.setattr(convolutions, "CHANNELS", 1)
    window = WINDOWS[name]
    x, w, y = draw(2, 3, window.height, window.width), draw(5, 3, *window.kernel), draw(2, 5, *window.narrow)
    wanted = nn.functional.conv2d(x, w, None, window.stride, window.padding)
    assert torch.allclose(down(x, w, window), wanted, rtol=1e-12, atol=1e-12)
    form = float((wanted * y).sum())
    assert float((up(y, w, window) * x).sum()) == pytest.approx(form, rel=1e-12)
    assert float((kernel_gradient(y, x, window) * w).sum()) == pytest.approx(form, rel=1e-12)
    assert float((scatter(gather(x, window), window) * x).sum()) == pytest.approx(
        float(gather(x, window).square().sum()), rel=1e-12
    )


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("pixels", [0, 10_000], ids=["oneDNN", "product"])
def test_its_derivatives_are_right_twice(name: str, pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolutions, "PIXELS", pixels)
    monkeypatch.setattr(convolutions, "CHANNELS", 1)
    window = WINDOWS[name]
    x, w, y = draw(2, 2, window.height, window.width), draw(3, 2, *window.kernel), draw(2, 3, *window.narrow)
    bias = draw(3)
    x, w, y, bias = (each.requires_grad_() for each in (x, w, y, bias))
    for function, inputs in (
        (lambda a, b, c: down(a, b, window, c), (x, w, bias)),
        (lambda a, b: up(a, b, window), (y, w)),
        (lambda a, b: kernel_gradient(a, b, window), (y, x)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)  # along random directions


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_wide_layers_are_pytorch_s(transposed: bool, bias: bool, precision: torch.dtype) -> None:
    torch.manual_seed(0)
    made, plain = (ConvTranspose2d, nn.ConvTranspose2d) if transposed else (Conv2d, nn.Conv2d)
    ours = made(512, 514, 4, 2, 1, bias=bias).to(memory_format=torch.channels_last)
    theirs = plain(512, 514, 4, 2, 1, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 512, 4 if transposed else 8, 4)
    found, wanted = [], []
    for layer, values in ((ours, found), (theirs, wanted)):
        inputs = x.clone().requires_grad_()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            scores = layer(inputs)
        values += [scores, *torch.autograd.grad(scores.float().square().sum(), [inputs, *layer.parameters()])]
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert float((a - b).detach().norm() / b.detach().norm()) < (1e-5 if precision == torch.float32 else 0.02)


@pytest.mark.parametrize(
    ("channels", "precision", "product"),
    [
        (64, torch.float32, False),
        (128, torch.float32, False),
        (256, torch.float32, True),
        (64, torch.bfloat16, False),
        (128, torch.bfloat16, True),
    ],
)
def test_small_layers_are_left_to_pytorch(
    channels: int, precision: torch.dtype, product: bool, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels *= 1 if processor == "tiles" else 2
    calls = []
    monkeypatch.setattr(convolutions, "gather", lambda *given: calls.append(given) or gather(*given))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        Conv2d(channels, channels, 4, 2, 1)(torch.zeros(2, channels, 8, 8))
    assert bool(calls) == product


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_kernels_of_fewer_channels_are_products_in_bfloat16_and_for_short_vectors(
    precision: torch.dtype, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = 64 if processor == "tiles" else 128
    calls = []
    monkeypatch.setattr(convolutions, "gather", lambda *given: calls.append(given) or gather(*given))
    layer = Conv2d(channels, 2 * channels, 4, 2, 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        scores = layer(torch.zeros(2, channels, 12, 12))
    assert not calls
    scores.float().sum().backward()
    assert len(calls) == (precision == torch.bfloat16 or processor == "short vectors")


@pytest.mark.usefixtures("processor")
def test_kernels_of_few_channels_are_left_to_pytorch() -> None:
    layer = Conv2d(127, 256, 4, 2, 1)
    assert not pays(layer.weight, layer.window(torch.zeros(2, 127, 12, 12)), torch.zeros(0))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(512, 8, 8), (0, 512, 8, 8)])
def test_a_lone_map_or_none_is_left_to_pytorch(transposed: bool, shape: tuple[int, ...]) -> None:
    made, plain = (ConvTranspose2d, nn.ConvTranspose2d) if transposed else (Conv2d, nn.Conv2d)
    ours, theirs = (kind(512, 512, 4, 2, 1) for kind in (made, plain))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("made", [Conv2d, ConvTranspose2d])
def test_maps_of_another_precision_are_refused_by_pytorch(made: type[Conv2d | ConvTranspose2d]) -> None:
    with pytest.raises(RuntimeError, match="type"):
        made(512, 512, 4, 2, 1)(torch.zeros(2, 512, 4, 4).double())


def test_a_kernel_larger_than_the_map_is_refused_by_pytorch() -> None:
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        Conv2d(512, 512, 5, 2)(torch.zeros(2, 512, 2, 2))
