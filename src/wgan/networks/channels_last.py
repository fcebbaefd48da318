"""The order of a map's numbers in memory: channels last, throughout.

PyTorch takes maps in either order, but what pairs two orders, such as the derivative of an activation whose gradient
has the other one, walks through memory in strides and takes many times as long.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from wgan.errors import UsageError


def placed(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a module, its convolutions' weights with the channels last: the fast order for pictures.

    It is changed in place, and put into training mode if it was in evaluation mode.

    Raises:
        UsageError: It has layers whose sizes are not known yet.
    """
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        raise UsageError("a network has lazy layers, whose sizes are not known yet; call it once on a batch before.")
    module = module.to(device)
    if not module.training:  # left so by a look at its samples; parts that are still on purpose stay so
        module.train()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dim() == 4:  # Module.to(memory_format=...) refuses others, as the weights of Conv3d
            # A clone: contiguous() leaves weights of a single channel as they are, and slow.
            tensor.data = tensor.data.clone(memory_format=torch.channels_last)
    return module


def ordered(x: Tensor) -> Tensor:
    """The same numbers, those of maps (N, C, H, W) with the channels last."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


class ChannelsLast(nn.Module):
    """Puts maps (N, C, H, W) into the order with the channels last, so that the layers after it run fast."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        return ordered(x)


class Head(nn.Linear):
    """``torch.nn.Linear`` of all numbers of a sample, which reads maps in the order in which they lie.

    Its weight keeps the order of ``flatten(1)``. Of maps with their channels last it is the weight that is put into
    another order, once, and not the maps.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W), or vectors (N, D), to (N, K)."""
        if x.dim() != 4:
            return super().forward(x.flatten(1))
        weight = self.weight.view(-1, *x.shape[1:])
        return F.linear(rows(x), rows(weight), self.bias)


def rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H W C): as they lie in memory. Kernels (K, C, k, l) are such maps too."""
    return maps.permute(0, 2, 3, 1).flatten(1)
