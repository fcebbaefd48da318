r"""The gradient of a critic's scores with respect to its input, in a graph that reaches the weights, and its norm.

A critic of linear layers and kinks is linear around almost every x: :math:`f(x) = W_2 \, \sigma(W_1 x)` has the
gradient :math:`W_1^\top D W_2^\top` with :math:`D = \operatorname{diag} \sigma'(W_1 x)`, and D has the derivative 0
wherever it has one. PyTorch computes that 0, layer by layer, and a penalty's gradient then carries it back through all
layers: two of the six passes that a penalty takes. Here the product is written out instead, over slopes found without a
graph. An instance norm is no such layer, for its slope depends on x smoothly; it is written out too, and only critics
that have one keep the graph of their activations. Other norms, parametrised weights and modules of a user's own are
left to PyTorch; what comes out is the same.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from wgan.networks.base import Critic
from wgan.networks.channels_last import Head, ordered
from wgan.networks.convolutions import Conv2d
from wgan.networks.norms import InstanceNorm2d

KINKS = (nn.ReLU, nn.LeakyReLU)
KNOWN = (nn.Linear, Head, Conv2d, nn.Flatten, InstanceNorm2d, *KINKS)


def input_gradient(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of each sample's score at that sample.

    Args:
        critic: Scores of samples, each depending on its own sample only.
        x: Samples (N, ...).

    Returns:
        Gradients (N, ...); without a graph, and cheaper, under ``torch.no_grad``.
    """
    if layers := _layers(critic):
        return _written_out(layers, x)
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        # Not torch.func.grad, which refuses a torch.autograd.Function that has no setup_context.
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=graph, materialize_grads=True)
    return gradient


def _layers(critic: object) -> list[nn.Module] | None:
    """The layers, one after the other, of a critic that is piecewise linear and has nothing else in it."""
    if type(critic) is not Critic or does_more(critic):
        return None
    layers = [*_flattened(critic.features), critic.head]
    return layers if all(_known(layer) for layer in layers) else None


def _flattened(module: nn.Module) -> list[nn.Module]:
    """A sequence's layers in their order; one that is there twice is given twice."""
    if type(module) is not nn.Sequential or does_more(module):
        return [module]
    return [layer for part in module for layer in _flattened(part)]


def _known(layer: nn.Module) -> bool:
    """Whether :func:`_back` goes back through this layer. A parametrised one, or a user's own, is of another type."""
    return type(layer) in KNOWN and not does_more(layer)


def does_more(module: nn.Module) -> bool:
    """Whether something happens at a call that the layers do not show, such as the older weight norm."""
    if "forward" in vars(module):  # set on the object
        return True
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return any(hooks)


def _written_out(layers: list[nn.Module], x: Tensor) -> Tensor:
    *layers, head = layers
    inputs = [x]
    curved = any(isinstance(layer, InstanceNorm2d) for layer in layers)  # the slopes of others change at kinks only
    with torch.set_grad_enabled(curved and torch.is_grad_enabled()):
        for layer in layers:
            inputs.append(layer(inputs[-1]))
    last = inputs.pop()
    weight = head.get_parameter("weight")
    gradient = ordered(weight.to(last.dtype).view(1, *last.shape[1:])).expand(last.shape)
    for layer, seen in zip(reversed(layers), reversed(inputs), strict=True):
        gradient = _back(layer, seen, gradient)
    return gradient


def _back(layer: nn.Module, seen: Tensor, gradient: Tensor) -> Tensor:
    """The gradient at a layer's input ``seen``, from that at its output."""
    if isinstance(layer, nn.Linear):
        return ordered((gradient @ layer.weight).reshape(seen.shape))
    if isinstance(layer, Conv2d | InstanceNorm2d):
        return layer.back(gradient, seen)
    if isinstance(layer, nn.Flatten):
        return ordered(gradient.reshape(seen.shape))
    slope = layer.negative_slope if isinstance(layer, nn.LeakyReLU) else 0.0
    through: Tensor = torch.ops.aten.leaky_relu_backward(gradient, seen.detach(), slope, False)
    return through


def gradient_norms(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    r"""The norm of the critic's input gradient at each sample, in a graph that reaches the critic's weights.

    Args:
        critic: Scores of samples, each depending on its own sample only.
        x: Samples (N, ...).

    Returns:
        Norms (N,), in float32 or wider; :math:`\sqrt{\cdot + 10^{-12}}` keeps their gradient finite at 0.
        Under ``torch.no_grad`` they have no graph, which is cheaper.
    """
    flat = input_gradient(critic, x).flatten(1)
    return (flat if flat.dtype == torch.float64 else flat.float()).square().sum(1).add(1e-12).sqrt()


def segments(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """A point on the segment between each real sample and its generated one; (N, ...) in all.

    Args:
        real: Samples (N, ...).
        fake: The same.
        epsilon: Which point, (N,): 0 is the real sample, 1 the generated one (Gulrajani et al. count the other way).
    """
    return torch.lerp(real, fake, epsilon.to(real).view(-1, *[1] * (real.dim() - 1)))
