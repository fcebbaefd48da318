"""Arrays of numbers: the type of most of them, tensors made arrays, and which samples are equal."""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wgan.errors import UsageError
from wgan.words import first_line

Floats = NDArray[np.float64]

MANY = 5
"""A sample that is there more often than this is no accidental copy, but each a draw of its own from discrete data."""


def from_tensor(tensor: torch.Tensor, name: str) -> NDArray[Any]:
    """The numbers of a tensor, wherever it is; of types that NumPy has not, such as bfloat16, as float32.

    Args:
        tensor: The tensor.
        name: What to call it.

    Raises:
        UsageError: It is sparse, or has no plain numbers.
    """
    if tensor.layout != torch.strided:
        raise UsageError(f"{name} cannot become an array: the tensor is sparse; make it dense first, with .to_dense().")
    try:
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        narrow = tensor.is_floating_point() and tensor.dtype.itemsize < 4 and tensor.dtype != torch.float16
        return np.asarray((tensor.float() if narrow else tensor).numpy())
    except (TypeError, RuntimeError) as error:
        raise UsageError(f"{name} cannot become an array: {first_line(error)}; give one of plain numbers.") from error


def digest(content: bytes | memoryview, key: bytes = b"") -> bytes:
    """64 bits of BLAKE2b."""
    return hashlib.blake2b(content, digest_size=8, key=key).digest()
