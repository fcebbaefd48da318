"""The instance norm that is written out: PyTorch's numbers, forwards, backwards, and backwards again."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wgan.networks import norms
from wgan.networks.norms import InstanceNorm2d


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def pair(channels: int, affine: bool) -> tuple[InstanceNorm2d, nn.InstanceNorm2d]:
    ours, theirs = InstanceNorm2d(channels, affine=affine), nn.InstanceNorm2d(channels, affine=affine)
    for weight in ours.parameters():
        nn.init.normal_(weight, generator=torch.Generator().manual_seed(channels))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def twice(layer: nn.Module, x: Tensor, g: Tensor, v: Tensor) -> list[Tensor]:
    """What it makes of x, the gradients of <g, made>, and those of <v, the gradient at x> and of the others' sums."""
    x, g = x.clone(memory_format=torch.preserve_format).requires_grad_(), g.clone().requires_grad_()
    made, weights = layer(x), list(layer.parameters())
    first = torch.autograd.grad((made * g).sum(), [x, *weights], create_graph=True)
    slope = (first[0] * v).sum() + sum(each.square().sum() for each in first[1:])
    return [made, *first, *torch.autograd.grad(slope, [x, g, *weights], materialize_grads=True)]


def apart(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted.double()).detach().norm() / wanted.double().detach().norm().clamp(min=1e-12))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("part", [2**18, 50], ids=["one part", "many parts"])
@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def test_all_of_it_is_pytorch_s(affine: bool, part: int, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norms, "PART", part)
    ours, theirs = (layer.double() for layer in pair(3, affine))
    x, g, v = (draw(5, 3, 4, n).contiguous(memory_format=order) for n in (2, 2, 2))
    x = 3 + 2 * x
    assert ours.written_out(x) == (order == torch.channels_last)
    for a, b in zip(twice(ours, x, g.roll(1), v.roll(2)), twice(theirs, x, g.roll(1), v.roll(2)), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("affine", [False, True])
def test_its_derivatives_are_right_twice(affine: bool) -> None:
    layer = pair(2, affine)[0].double()
    x = draw(3, 2, 3, 2).contiguous(memory_format=torch.channels_last).requires_grad_()

    def normed(x: Tensor, *weights: Tensor) -> Tensor:
        named = dict(zip(dict(layer.named_parameters()), weights, strict=True))
        return torch.func.functional_call(layer, named, (x,))  # type: ignore[no-any-return]

    inputs = (x, *(weight.detach().clone().requires_grad_() for weight in layer.parameters()))
    assert torch.autograd.gradcheck(normed, inputs)
    assert torch.autograd.gradgradcheck(normed, inputs)


@pytest.mark.parametrize(("precision", "limit"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_lower_precisions_are_near(precision: torch.dtype, limit: float) -> None:
    ours, theirs = pair(16, True)
    x, g, v = (draw(8, 16, 6, 6).roll(n, 3).contiguous(memory_format=torch.channels_last) for n in range(3))
    low = [each.to(precision) for each in (x, g, v)]
    found, wanted = twice(ours, *low), twice(theirs.double(), *(each.double() for each in low))
    assert found[0].dtype == precision and found[0].is_contiguous(memory_format=torch.channels_last)
    for a, b in zip(found, wanted, strict=True):
        assert apart(a, b) < limit


def test_a_variance_far_from_zero_is_kept() -> None:
    x = (1000 + draw(2, 3, 8, 8)).float().contiguous(memory_format=torch.channels_last)
    ours, theirs = pair(3, False)
    # The mean square less the squared mean would be several per cent off.
    assert apart(ours(x), theirs(x.double())) < 1e-3


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_going_back_is_the_gradient(order: Any) -> None:
    layer = pair(3, True)[0].double()
    x, g = draw(4, 3, 5, 2).contiguous(memory_format=order).requires_grad_(), draw(2, 3, 5, 4).transpose(0, 3)
    (wanted,) = torch.autograd.grad(layer(x), x, g)
    assert torch.allclose(layer.back(g, x), wanted, rtol=1e-12, atol=1e-14)
    with torch.no_grad():
        assert torch.allclose(layer.back(g, x), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(3, 4, 4),
        torch.zeros(0, 3, 4, 4),
        torch.zeros(2, 3, 4, 4).half(),
        torch.zeros(2, 3, 4, 4).double(),
        torch.zeros(2, 3, 4, 4, device="meta"),
    ],
)
def test_the_rest_is_left_to_pytorch(x: Tensor) -> None:
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    assert not InstanceNorm2d(3, affine=True).written_out(x)


def test_gradients_of_gain_and_bias_do_not_share_their_numbers() -> None:
    layer, x = pair(3, True)[0], draw(2, 3, 4, 4).float().contiguous(memory_format=torch.channels_last)
    layer(x).square().sum().backward()
    storages = {weight.grad.untyped_storage().data_ptr() for weight in layer.parameters() if weight.grad is not None}
    assert len(storages) == 2


def test_a_single_pixel_is_refused_by_pytorch() -> None:
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        InstanceNorm2d(3)(torch.zeros(2, 3, 1, 1))


def test_a_map_larger_than_a_part_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norms, "PART", 10)
    x = torch.randn(3, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    assert torch.allclose(norms.InstanceNorm2d(2)(x), nn.functional.instance_norm(x), atol=1e-6)
