"""Samples in memory, on disk or computed: whatever they are, indices go in and a float32 batch comes out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.report import Report
from wgan.errors import UsageError


class Samples(ABC):
    """Samples of one shape.

    Attributes:
        shape: (C, H, W) for pictures, (D,) for vectors.
        size: How many there are; None for endless ones.
        source: What they are rows of, if anything: the same object for two parts of one source.
        rows: Which of its rows they are, int64 (N,).
        labels: Class indices (N,), or None.
    """

    shape: tuple[int, ...]
    size: int | None
    source: object = None
    rows: NDArray[np.int64]
    labels: NDArray[Any] | None

    @abstractmethod
    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """The samples at ``index``: int64 (N,) -> float32 (N, *shape), on the CPU."""

    def some(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """Indices of at most ``n`` samples: chosen at random, or the first ones of endless samples."""
        if self.size is None:
            return torch.arange(n, device="cpu")
        return torch.randperm(self.size, device="cpu", generator=rng)[:n]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, shape={self.shape})"


@final
class Pictures(Samples):
    """Rows of a uint8 array or memory map (N, H, W, C), as x / 127.5 - 1 in [-1, 1], channels last in memory.

    Args:
        images: uint8 (N, H, W, C).
        rows: int64 (M,): which of them, in which order; all by default.
        labels: Class indices of all N, or None.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        rows: NDArray[np.int64] | None = None,
        labels: NDArray[Any] | None = None,
    ) -> None:
        height, width, channels = images.shape[1:]
        self.images = self.source = images
        self.rows = np.arange(len(images)) if rows is None else rows
        self.shape = (channels, height, width)
        self.size = len(self.rows)
        self.labels = None if labels is None else labels[self.rows]

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Pictures (N, C, H, W) in [-1, 1], in channels_last memory format."""
        return _to_tensor(self.images[self.rows[index.numpy()]])


@final
class Vectors(Samples):
    """Rows of an array (N, D), standardised when they are asked for.

    Args:
        array: Vectors in a person's own units.
        units: What standardises them.
        rows: int64 (M,): which of them, in which order; all by default.
        labels: Class indices of all N, or None.
    """

    def __init__(
        self,
        array: NDArray[Any],
        units: "Units",
        rows: NDArray[np.int64] | None = None,
        labels: NDArray[Any] | None = None,
    ) -> None:
        self.array = self.source = array
        self.units = units
        self.rows = np.arange(len(array)) if rows is None else rows
        self.shape = (array.shape[1],)
        self.size = len(self.rows)
        self.labels = None if labels is None else labels[self.rows]

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Standardised vectors (N, D)."""
        return self.units.from_user(self.array[self.rows[index.numpy()]])

    def in_own_units(self, index: torch.Tensor) -> NDArray[np.float64]:
        """The samples at ``index`` as they came, to the last digit."""
        return np.asarray(self.array[self.rows[index.numpy()]], np.float64)


@final
class Endless(Samples):
    """A virtual array without end: sample i is a pure function of (i, key).

    Args:
        dimension: D.
        draw: Maps indices int64 (N,) and a 64-bit key to samples float (N, D).
        key: Another one gives other samples of the same distribution.
    """

    def __init__(
        self,
        dimension: int,
        draw: Callable[[NDArray[np.int64], int], NDArray[np.float64]],
        key: int,
    ) -> None:
        self.shape = (dimension,)
        self.size = None
        self.labels = None
        self._draw = draw
        self._key = key

    def batch(self, index: torch.Tensor) -> torch.Tensor:
        """Vectors (N, D)."""
        return torch.from_numpy(self._draw(index.numpy(), self._key).astype(np.float32))


COARSE = 1e-3
"""The largest step between two numbers, as a share of the standard deviation, that is taken for exact enough."""


@dataclass(frozen=True)
class Units:
    """How tensors and a person's own numbers correspond.

    Attributes:
        mean: (D,) for vectors, None for pictures.
        scale: (D,) for vectors, None for pictures; 0 of what is constant.
    """

    mean: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None

    def to_user(self, x: torch.Tensor) -> NDArray[Any]:
        """Pictures in [-1, 1] -> uint8 (N, H, W, C), rounded and clipped; vectors in their own units: float32, or
        float64 where float32 would round away what varies, as in times of some hours around 1.7e9 s."""
        x = x.detach().cpu()
        if self.mean is None or self.scale is None:
            pixels = ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            return pixels.permute(0, 2, 3, 1).contiguous().numpy()
        return (x.double().numpy() * self.scale + self.mean).astype(self.dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of samples in a person's units."""
        if self.mean is None or self.scale is None:
            return np.dtype(np.uint8)
        steps = np.spacing(np.abs(self.mean).astype(np.float32)).astype(np.float64)
        # A whole constant, such as an identifier, is to come back as it was.
        whole = (self.mean == np.rint(self.mean)) & (self.mean != self.mean.astype(np.float32))
        coarse = np.where(self.scale > 0, steps > COARSE * self.scale, whole)
        return np.dtype(np.float64 if coarse.any() else np.float32)

    def from_user(self, array: NDArray[Any]) -> torch.Tensor:
        """The inverse of :meth:`to_user`: uint8 (N, H, W, C) or vectors (N, D) -> float32 tensor."""
        if self.mean is None or self.scale is None:
            return _to_tensor(np.asarray(array, np.uint8))
        scale = np.where(self.scale > 0, self.scale, 1.0)
        return torch.from_numpy(((np.asarray(array, np.float64) - self.mean) / scale).astype(np.float32))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        if self.mean is None or self.scale is None:
            return {"kind": "pictures"}
        return {"kind": "vectors", "mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Units":
        """The inverse of :meth:`to_dict`."""
        if plain["kind"] == "pictures":
            return cls()
        return cls(np.asarray(plain["mean"], np.float64), np.asarray(plain["scale"], np.float64))


@dataclass(frozen=True)
class Data:
    """A data set: samples to train on, samples never trained on, and what is known about them.

    Attributes:
        name: A registered name, a file's or folder's name, or what an object is called: "array", "tensor" or its class.
        shape: (C, H, W) for pictures, (D,) for vectors.
        train: Samples to train on.
        held_out: Samples that measure; never trained on.
        report: What was found in the source.
        units: From tensors back to a person's numbers.
        modes: Known centres of the distribution's modes, float (M, D), for ring and grid.
        content: A hash of all samples in their order; None for endless ones.
        options: How they were opened; None for endless ones.
    """

    name: str
    shape: tuple[int, ...]
    train: Samples
    held_out: Samples
    report: Report
    units: Units
    modes: NDArray[np.float64] | None = None
    content: str | None = None
    options: DataConfig | None = None


def _to_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    # One thread of numpy: on a busy machine, waking torch's threads for so little work costs far more than the work.
    x = pixels.astype(np.float32)
    x /= 127.5
    x -= 1
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def no_picture_options(options: DataConfig, name: str) -> None:
    """Refuse options that only pictures have.

    Raises:
        UsageError: ``size``, ``fit``, ``channels``, ``value_range`` or ``flip`` is not the usual one.
    """
    usual = DataConfig()
    for option in ("size", "fit", "channels", "value_range", "flip"):
        if getattr(options, option) != getattr(usual, option):
            flag = "--" + option.replace("_", "-")
            raise UsageError(f"{flag} is for pictures, but {name} has vectors; leave it out.")
