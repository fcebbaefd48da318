"""Python objects: arrays, tensors, and anything with a length and items, such as a torchvision data set.

Items may be mappings, as those of Hugging Face's data sets are: of their values one is the picture, another its class.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wgan.arrays import from_tensor
from wgan.config import DataConfig
from wgan.data.arrays import Origin, found_range, open_array, says_no_range, to_bytes, usual_range
from wgan.data.assemble import pictures, vectors
from wgan.data.images import (
    CHANNELS,
    Header,
    Target,
    becoming_unreadable,
    checked_range,
    describe,
    fit,
    fit_array,
    turn_of,
)
from wgan.data.progress import Progress
from wgan.data.samples import Data
from wgan.data.source import Read, Source
from wgan.errors import UsageError, WganError
from wgan.words import printable

LOOKED_AT = 64
"""The default size and range are chosen from at most so many items, evenly spread: these are read once more."""

IMAGE_KEYS = ("image", "img", "pixels", "x")
LABEL_KEYS = ("label", "labels", "y", "class", "target")


@runtime_checkable
class Items(Protocol):
    """Anything with a length and items."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, number: int, /) -> Any:
        """One of them."""


def open_object(source: Any, options: DataConfig, progress: Progress) -> Data:
    """A data set from an object in memory.

    Raises:
        UsageError: The object is of no known kind, sparse, or has masked values.
        WganError: Its items cannot be used.
    """
    source = source.to_numpy() if hasattr(source, "to_numpy") else source  # tables, whose items are columns
    if isinstance(source, torch.Tensor):
        array = from_tensor(source, "the tensor")
        return open_array(array, None, Origin("tensor", "the tensor", "tensor", channels_first=True), options, progress)
    if isinstance(source, np.ndarray):
        if np.ma.is_masked(source):
            raise UsageError("some samples have masked values; fill them in, or remove those samples.")
        array = np.asarray(np.ma.getdata(source))  # a matrix, as scipy's todense() makes, would stay one
        return open_array(array, None, Origin("array", "the array", "array"), options, progress)
    if not isinstance(source, Items) or isinstance(source, Mapping | bytes | bytearray | memoryview):
        raise UsageError(
            f"data is of type {type(source).__name__}, but it must be a name, a path, an array, a tensor, "
            "or an object with __len__ and __getitem__."
        )
    found = ItemPictures(source, options)
    try:
        empty = len(found) == 0
    except TypeError as error:  # scipy's sparse arrays, and data sets that only wrap a stream
        raise UsageError(f"{found.place} has no length ({error}); make it an array or a list first.") from error
    if empty:
        raise WganError(f"{found.place} has no items.")
    first = found.item(0)[0]
    if isinstance(first, Image.Image) or first.ndim in (2, 3):
        return pictures(found, options, progress)
    if first.ndim > 1:
        raise WganError(f"the items of {found.place} have shape {first.shape}: neither pictures nor vectors.")
    return _vectors(found, options)


class Look(NamedTuple):
    """What is kept of an item that was looked at: its header and, unless it has bytes, its type and extreme values."""

    header: Header
    numbers: tuple[np.dtype[Any], float, float] | None


@final
class ItemPictures(Source):
    """Pictures that an object hands out one by one; read in order, on one thread, after some were looked at.

    Args:
        items: The object.
        options: The value range of float pictures, if a person gave it.
    """

    def __init__(self, items: Items, options: DataConfig) -> None:
        self.name = type(items).__name__
        self.place = f"the {self.name} object"
        self._items = items
        self._given = checked_range(options.value_range)

    def __len__(self) -> int:
        return len(self._items)

    def title(self, number: int) -> str:
        """The item's number."""
        return f"item {number}"

    def item(self, number: int) -> tuple[Image.Image | NDArray[Any], str | None]:
        """A picture or array, (H, W, C) if it has three axes, and its class.

        Raises:
            WganError: The object failed, or the item is of no known kind.
        """
        try:
            item = self._items[number]
        except Exception as error:
            raise WganError(f"item {number} of {self.place} cannot be read: {error!r}.") from error
        value, label = self._of_mapping(item, number) if isinstance(item, Mapping) else _of_pair(item)
        return (value if isinstance(value, Image.Image) else self._array(value, number)), label

    def _of_mapping(self, item: Mapping[Any, Any], number: int) -> tuple[Any, str | None]:
        """The picture or numbers in a mapping, and the class if it has one."""
        key = _picture_key(item)
        if key is None:
            raise WganError(
                f"item {number} of {self.place} has the keys {', '.join(map(repr, item)) or '(none)'}; one picture "
                f"or array must be among its values, or be under {', '.join(IMAGE_KEYS[:-1])} or {IMAGE_KEYS[-1]}."
            )
        labels = (_label(item[name]) for name in LABEL_KEYS if name in item)
        return item[key], next(filter(None, labels), None)

    def _picture(self, number: int) -> tuple[Image.Image | NDArray[Any], str | None]:
        item, label = self.item(number)
        if not isinstance(item, Image.Image) and item.ndim not in (2, 3):
            raise WganError(f"item {number} of {self.place} has shape {item.shape}, and is no picture as others are.")
        return item, label

    def read(self, number: int, target: Target) -> Read:
        """Bring an item to the target's shape."""
        item, label = self._picture(number)
        if isinstance(item, Image.Image):
            with becoming_unreadable():  # it was opened, but is decoded only now
                turn = turn_of(item)
                return Read(describe(item), fit(item if turn is None else item.transpose(turn), target), label)
        pixels = self._bytes(item if item.ndim == 3 else item[..., None], number)
        return Read(_header(item), fit_array(pixels, target), label)

    def headers(self) -> Iterator[Header]:
        """Of the items looked at."""
        return (look.header for look in self._looks)

    @cached_property
    def value_range(self) -> tuple[float, float] | None:
        """Black and white of items that are not bytes, from the items looked at.

        Raises:
            UsageError: It was not given, and would leave few levels.
        """
        if not self._extremes:
            return None
        kinds, lows, highs = zip(*self._extremes, strict=True)
        return self._given or found_range(kinds[0], min(lows), max(highs), self.place)

    @property
    def range_found(self) -> bool:
        """Whether the extremes of the items looked at chose the range."""
        return self._given is None and any(says_no_range(kind) for kind, _, _ in self._extremes)

    @property
    def _extremes(self) -> list[tuple[np.dtype[Any], float, float]]:
        return [look.numbers for look in self._looks if look.numbers is not None]

    @cached_property
    def _looks(self) -> list[Look]:
        """The items looked at, without their pixels: all of them together might not fit into memory."""
        return [self._look(number) for number in sorted({int(n) for n in np.linspace(0, len(self) - 1, LOOKED_AT)})]

    def _look(self, number: int) -> Look:
        item, _ = self._picture(number)
        if isinstance(item, Image.Image):
            return Look(describe(item), None)
        bytes_ = item.dtype == np.uint8
        return Look(_header(item), None if bytes_ else (item.dtype, float(item.min()), float(item.max())))

    def _array(self, item: Any, number: int) -> NDArray[Any]:
        if np.ma.is_masked(item):
            raise WganError(f"item {number} of {self.place} has masked values; fill them in, or remove it.")
        tensor = isinstance(item, torch.Tensor)
        try:
            array = from_tensor(item, f"item {number} of {self.place}") if tensor else np.asarray(item)
        except ValueError:  # lists of different lengths
            array = np.empty(0)
        if array.dtype.kind not in "buif" or array.size == 0:
            raise WganError(
                f"item {number} of {self.place} is a {type(item).__name__}, but items are PIL pictures, "
                "tensors or arrays, alone or in a pair with a label."
            )
        if array.ndim != 3:
            return array
        first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
        if not (first or last):
            raise WganError(f"item {number} of {self.place} has shape {array.shape}: not 1, 3 or 4 channels.")
        channels_first = first and (tensor or not last)
        return array.transpose(1, 2, 0) if channels_first else array

    def _bytes(self, pixels: NDArray[Any], number: int) -> NDArray[np.uint8]:
        if pixels.dtype == np.uint8:
            return pixels
        if not np.isfinite(pixels).all():
            raise WganError(f"item {number} of {self.place} has NaN or infinite values; fix it first.")
        bounds = self.value_range or usual_range(pixels.dtype, float(pixels.min()), float(pixels.max()))
        slack = (bounds[1] - bounds[0]) / 255
        if self._given is None and (pixels.min() < bounds[0] - slack or pixels.max() > bounds[1] + slack):
            raise WganError(
                f"item {number} of {self.place} has values from {pixels.min():g} to {pixels.max():g}, "
                f"outside {bounds[0]:g} to {bounds[1]:g} that others have; "
                "say which are black and white with value_range."
            )
        return to_bytes(pixels, bounds)


def _of_pair(item: Any) -> tuple[Any, str | None]:
    """The picture or numbers of an item, which may be the first of a pair with its class."""
    if not (isinstance(item, tuple | list) and item and isinstance(item[0], Image.Image | torch.Tensor | np.ndarray)):
        return item, None
    label = _label(item[1]) if len(item) > 1 else None
    if label is None and getattr(item[0], "ndim", 2) == 0:  # a point, whose numbers are the items of a list
        return item, None
    return item[0], label


def _picture_key(item: Mapping[Any, Any]) -> Any:
    """Where the picture in a mapping is: under a usual name, or the only one; None if there is no way to tell.

    First comes a usual name that holds a picture, then the only picture, then a usual name that holds a vector or lists
    of numbers. A picture under an unusual name beside those may be their mask, so that there is no way to tell.
    """
    found = [key for key, value in item.items() if _has_axes(value, 2)]
    named = [key for key in IMAGE_KEYS if key in item]
    usual = [key for key in named if key in found]
    others = [key for key in named if isinstance(item[key], list) or _has_axes(item[key], 1)]
    if found and not usual and (others or len(found) > 1):
        return None
    return next(iter(usual or found or others), None)


def _has_axes(value: Any, least: int) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, torch.Tensor | np.ndarray) and value.ndim >= least)


def _vectors(found: ItemPictures, options: DataConfig) -> Data:
    read = [found.item(number) for number in range(len(found))]
    shapes = {np.asarray(item).shape for item, _ in read}
    if len(shapes) > 1:
        raise WganError(f"the items of {found.place} have different shapes: {sorted(shapes)[:3]}.")
    labels = [label for _, label in read if label is not None]
    array = np.stack([np.asarray(item) for item, _ in read]).reshape(len(read), -1)  # single numbers are vectors, too
    return vectors(found.name, found.place, array, labels if len(labels) == len(read) else None, options)


def _header(item: NDArray[Any]) -> Header:
    return Header.of_array(item.shape, f"array {item.dtype}")


def _label(label: Any) -> str | None:
    plain = label.item() if isinstance(label, torch.Tensor | np.ndarray | np.generic) and label.ndim == 0 else label
    return printable(str(plain)) if isinstance(plain, int | str) else None
