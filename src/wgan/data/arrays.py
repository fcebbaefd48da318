"""Arrays: pictures (N, H, W), (N, H, W, C) or (N, C, H, W) of any number type, and vectors (N, D).

Pictures are rounded to 256 levels, vectors are not; so pictures that would keep few levels are refused.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.assemble import check_finite, pictures, vectors
from wgan.data.images import CHANNELS, FEWEST_LEVELS, Header, Target, checked_range, fit_array
from wgan.data.progress import Progress
from wgan.data.samples import Data
from wgan.data.source import Read, Source
from wgan.errors import UsageError, WganError
from wgan.words import count, printable

USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
MIDDLE = 0.5
"""Numbers from just below 0 to above this are from 0 to 1 and overshot, as by a bicubic resize, and not from -1 to 1:
their own extremes become black and white."""
LEAST_WHITE = 64
"""Numbers that all stay below are not on the scale to 255: they would all be nearly black."""


@dataclass(frozen=True)
class Origin:
    """Where an array comes from.

    Attributes:
        name: The data set's name.
        place: Where it is, for messages.
        format: File format, for the report.
        stamp: What tells its content apart without reading it; None in memory.
        channels_first: Read (N, C, H, W) where a shape could be either.
    """

    name: str
    place: str
    format: str
    stamp: str | None = None
    channels_first: bool = False


def open_array(
    array: NDArray[Any],
    labels: NDArray[Any] | None,
    origin: Origin,
    options: DataConfig,
    progress: Progress,
    official: int | None = None,
) -> Data:
    """A data set from one array.

    Args:
        array: The samples.
        labels: The class of each, (N,) or (N, 1), or None.
        origin: Where they come from.
        options: Size, channels, held-out share.
        progress: Told how far the reading is.
        official: The number of samples before the official test split, if there is one.

    Raises:
        WganError: The array's type or shape is not that of pictures or vectors, or values are not finite.
    """
    if array.dtype.kind not in "buif":
        raise WganError(
            f"{origin.place} has values of type {array.dtype}; "
            "save real numbers, such as uint8 for pictures and float32 for vectors."
        )
    if array.size == 0 or array.ndim == 0:
        raise WganError(f"{origin.place} has shape {array.shape}: there are no samples in it.")
    names = _label_names(labels, len(array), origin)
    if array.ndim <= 2:
        array = array.reshape(len(array), -1)  # single numbers are vectors of one
        return vectors(origin.name, origin.place, array, names, options, official)
    return pictures(ArrayPictures(layout(array, origin), names, origin, options), options, progress, official)


@final
class ArrayPictures(Source):
    """Pictures in an array (N, H, W, C) of any number type.

    Args:
        array: The pictures, in memory or mapped.
        labels: Class names, or None.
        origin: Where they come from.
        options: The value range, if a person gave it.
        classes: The classes' order where it is known.
    """

    def __init__(
        self,
        array: NDArray[Any],
        labels: Sequence[str] | None,
        origin: Origin,
        options: DataConfig,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.name = origin.name
        self.place = origin.place
        self.classes = classes
        self._array = array
        self._labels = labels
        self._origin = origin
        self._given = checked_range(options.value_range)
        if self._given is not None and self._are_bytes:
            raise UsageError(
                f"--value-range: the pictures of {origin.name} are bytes, for which it does nothing; leave it out."
            )

    def __len__(self) -> int:
        return len(self._array)

    def title(self, number: int) -> str:
        """The row's number."""
        return f"row {number}"

    def read(self, number: int, target: Target) -> Read:
        """Scale a row to bytes and bring it to the target's shape."""
        pixels = to_bytes(self._array[number], self.value_range)
        label = None if self._labels is None else self._labels[number]
        return Read(self._header, fit_array(pixels, target), label)

    def headers(self) -> Iterator[Header]:
        """One for all."""
        return iter([self._header])

    @cached_property
    def value_range(self) -> tuple[float, float] | None:
        """Black and white: given, declared by the type, or found in all values.

        Raises:
            UsageError: It was not given, and would leave few levels.
            WganError: Some values are not finite.
        """
        if self._are_bytes:
            return None
        check_finite(self._array, self.place)
        return self._given or found_range(self._array.dtype, *self._extremes, self.place)

    @property
    def range_found(self) -> bool:
        """Whether the extremes of the values chose the range."""
        dark = self._array.dtype == np.uint8 and not self._are_bytes
        return self._given is None and (dark or says_no_range(self._array.dtype))

    @cached_property
    def notes(self) -> Sequence[str]:
        """What was taken for black and white."""
        if self.value_range is None:
            return ()
        low, high = self.value_range
        told = f"values from {low:g} to {high:g} became black to white; --value-range=LOW,HIGH changes this."
        if self._extremes[0] < low or self._extremes[1] > high:
            found = f"{self._extremes[0]:g} to {self._extremes[1]:g}"
            told = f"values range from {found}; those outside {low:g} to {high:g} were clipped."
        return (told,)

    def fingerprint(self) -> str | None:
        """The file's path and stamp; None in memory."""
        return self._origin.stamp

    def ready(self, target: Target) -> NDArray[np.uint8] | None:
        """The array, if it needs no change: what is in memory as a copy, for its owner may go on to change it."""
        if not self._are_bytes or self._array.shape[1:] != target.shape:
            return None
        return self._array if self._is_mapped else self._array.copy()

    @cached_property
    def _are_bytes(self) -> bool:
        """Whether the values are bytes as they are to be: but for those, as of masks, that are nearly black."""
        if self._array.dtype != np.uint8:
            return False
        few = self._array[:: max(1, len(self._array) // 64)]  # mostly enough, and a mapped file is not read for it
        return bool(few.max() >= FEWEST_LEVELS) or not 0 < self._array.max() < FEWEST_LEVELS

    @property
    def _is_mapped(self) -> bool:
        base: Any = self._array
        while base is not None and not isinstance(base, np.memmap):
            base = getattr(base, "base", None)
        return base is not None

    @cached_property
    def _extremes(self) -> tuple[float, float]:
        return float(self._array.min()), float(self._array.max())

    @property
    def _header(self) -> Header:
        return Header.of_array(self._array.shape[1:], f"{self._origin.format} {self._array.dtype}")


def layout(array: NDArray[Any], origin: Origin) -> NDArray[Any]:
    """View pictures as (N, H, W, C).

    Raises:
        WganError: The shape is not that of pictures.
    """
    if array.ndim == 3 and array.shape[2] in CHANNELS and array.shape[1] > array.shape[2]:
        height, width, channels = array.shape
        raise WganError(
            f"{origin.place} has shape {array.shape}, as one picture of {height}x{width} with "
            f"{count(channels, 'channel')} has; many are (N, H, W, C), and grey ones that are so narrow "
            f"(N, {width}, {channels}, 1); point clouds and signals are vectors: reshape them to (N, D)."
        )
    if array.ndim == 3:
        return array[..., None]
    if array.ndim == 4:
        last, second = array.shape[3] in CHANNELS, array.shape[1] in CHANNELS
        if last and not (origin.channels_first and second):
            return array
        if second:
            return array.transpose(0, 2, 3, 1)
    raise WganError(
        f"{origin.place} has shape {array.shape}; pictures are (N, H, W), (N, H, W, C) or (N, C, H, W) "
        "with 1, 3 or 4 channels, vectors are (N, D) and single numbers (N,)."
    )


def usual_range(dtype: np.dtype[Any], low: float, high: float) -> tuple[float, float]:
    """Black and white: the type's own range (bool, uint16), else the smallest usual one that holds all, else theirs."""
    if dtype == np.bool_:
        return 0.0, 1.0
    if dtype.newbyteorder("=") == np.uint16:
        return 0.0, 65535.0
    for usual in USUAL_RANGES if dtype.kind == "f" else USUAL_RANGES[2:]:
        unlikely = high < LEAST_WHITE if usual[1] > 1 else -MIDDLE < low < 0 and high > MIDDLE
        if usual[0] <= low and high <= usual[1] and not unlikely:
            return usual
    return low, high if high > low else low + max(1.0, abs(low))


def found_range(dtype: np.dtype[Any], low: float, high: float, place: str) -> tuple[float, float]:
    """The usual range of values from ``low`` to ``high``, where that keeps them apart.

    Raises:
        UsageError: Few of the 256 levels would be left of more values: these are no pictures, or on an unusual scale.
    """
    black, white = usual_range(dtype, low, high)
    steps = (high - low) * 255 / (white - black)
    most = high - low if dtype.kind in "iu" else math.inf
    if 0 < steps < min(FEWEST_LEVELS, most):
        raise UsageError(
            f"{place} has values from {low:g} to {high:g}, which would keep only {math.floor(steps) + 1} of 256 grey "
            f"levels from {black:g} to {white:g}; reshape to (N, D) if they are vectors of numbers, or say what is "
            "black and white with --value-range=LOW,HIGH."
        )
    return black, white


def says_no_range(dtype: np.dtype[Any]) -> bool:
    """Whether black and white of a type are a matter of its values."""
    return dtype.newbyteorder("=") not in (np.uint8, np.bool_, np.uint16)


def to_bytes(values: NDArray[Any], value_range: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Scale values linearly, LOW to 0 and HIGH to 255, rounded and clipped; bytes stay as they are."""
    if value_range is None:
        return values
    low, high = value_range
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _label_names(labels: NDArray[Any] | None, count: int, origin: Origin) -> list[str] | None:
    if labels is None:
        return None
    if labels.shape not in ((count,), (count, 1)):  # Keras gives CIFAR's labels an axis more
        raise WganError(
            f"{origin.place} has {count:,} samples, but labels of shape {labels.shape}; give each one number or name."
        )
    return [printable(str(label)) for label in labels.ravel().tolist()]
