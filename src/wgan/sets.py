"""The two sets of a comparison, opened: data, arrays or generators become rows of numbers in a person's units."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data import open_data, place_of
from wgan.data.arrays import USUAL_RANGES
from wgan.data.progress import Progress
from wgan.data.samples import Data, Samples, Vectors
from wgan.distances.samples import rows
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.model import Model
from wgan.options import make_config
from wgan.registry import DATASETS
from wgan.run import Run
from wgan.seeds import rng
from wgan.words import kind

Split = Literal["all", "train", "held-out"]

_SECOND = 2**40  # where B's samples of an endless set begin, so that they are not A's


@dataclass(frozen=True)
class Opened:
    """One of the two sets, open.

    Attributes:
        shape: (C, H, W) for pictures, (D,) for vectors.
        size: How many samples there are; None if they can be drawn without end.
        take: Gives that number of them as float64 (n, D): pixels in [0, 1], vectors in their own units.
        values: What became 0 and 1 of pictures, if that was seen in the values themselves.
        read: How a run read its data.
    """

    shape: tuple[int, ...]
    size: int | None
    take: Callable[[int], NDArray[np.float64]]
    values: tuple[float, float] | None = None
    read: DataConfig | None = None


def open_both(
    a: Any, b: Any, given: Mapping[str, Any], seed: int, split: Split, progress: Progress
) -> tuple[Opened, Opened]:
    """Both sides; what has a shape of its own leads, else A.

    Raises:
        UsageError: They are of different shapes, or on different scales, or an option does not suit one.
        WganError: One cannot be read.
    """
    options = make_config(given).data

    def opened(source: Any, number: int, like: Opened | None) -> Opened:
        read = like.read if like and like.read else DataConfig()
        *wishes, last = dict.fromkeys(
            (_like(like, _as_read(read, options, given, split)), _like(like, options), options)
        )
        for wanted in wishes:
            with suppress(UsageError):  # vectors cannot be brought to the shape of pictures, nor bytes to a range
                return _of_data(open_data(source, wanted, progress=progress), seed, number, split)
        return _of_data(open_data(source, last, progress=progress), seed, number, split)

    plain = split == "all" and not given
    ready_a, ready_b = (_as_it_is(source, seed, number, plain) for number, source in enumerate((a, b)))
    for ready in filter(None, (ready_a, ready_b)):
        _check_shape(ready.shape, options)
    side_a = ready_a or opened(a, 0, ready_b)
    side_b = ready_b or opened(b, 1, side_a)
    if side_a.shape != side_b.shape:
        raise UsageError(f"A has {kind(side_a.shape)}, but B has {kind(side_b.shape)}; both must have one shape.")
    if not (ready_a or ready_b):  # a generator has the scale of what it was trained on
        _check_scales(side_a, side_b)
    return side_a, side_b


def _check_scales(a: Opened, b: Opened) -> None:
    """Refuse pictures of numbers that were brought to [0, 1] each in their own way.

    Bytes can be compared with numbers from 0 to 1 or from -1 to 1, of which it is known what they mean.

    Raises:
        UsageError: They are not on one scale.
    """
    bytes_ = USUAL_RANGES[-1]
    found = [None if side.values == bytes_ else side.values for side in (a, b)]
    if found[0] == found[1] or (None in found and set(found) <= {None, *USUAL_RANGES}):
        return
    told = ", ".join(f"{name}'s from {v[0]:g} to {v[1]:g}" for name, v in zip("AB", found, strict=True) if v)
    raise UsageError(
        f"both sides must be on one scale, but what is black and white was taken from their values, {told}; "
        + ("scale them" if None in found else "say it for both with --value-range=LOW,HIGH, or scale them")
        + " to 0 to 1 first."
    )


def _like(side: Opened | None, options: DataConfig) -> DataConfig:
    """The options that bring pictures to a side's shape."""
    if side is None or len(side.shape) == 1:
        return options
    channels, height, width = side.shape
    return replace(options, size=(height, width), channels=cast(Literal[1, 3, 4], channels))


def _check_shape(shape: tuple[int, ...], options: DataConfig) -> None:
    """Refuse a size or channels that a generator does not make.

    Raises:
        UsageError: Its samples are of another shape.
    """
    for name, wanted, made in (("size", options.size, shape[1:]), ("channels", options.channels, shape[0])):
        if wanted is not None and (len(shape) == 1 or wanted != made):
            raise UsageError(
                f"--{name}: the generator makes {kind(shape)}, and the other side is read like them; leave it out."
            )


def _as_read(read: DataConfig, options: DataConfig, given: Mapping[str, Any], split: Split) -> DataConfig:
    """The options, and where none is given those with which a run read its data."""
    names = ["fit", "value_range", "follow_links", *([] if split == "all" else ["held_out"])]
    return replace(options, **{name: getattr(read, name) for name in names if name not in given})


def _as_it_is(source: Any, seed: int, number: int, plain: bool) -> Opened | None:
    """A generator, or a whole array of vectors; None if the source has yet to be opened with options."""
    if plain and isinstance(source, np.ndarray | torch.Tensor) and source.ndim in (1, 2):
        array = rows(source)
        return Opened((array.shape[1],), len(array), lambda n: array[_chosen(len(array), n, seed).numpy()])
    found = _generator(source)
    if found is None:
        return None
    model, read = found
    return Opened(model.shape, None, lambda n: _flat(model.sample(n, 2 * seed + number)), read=read)


def _generator(source: Any) -> tuple[Model, DataConfig | None] | None:
    """The generator that a source is, or that its folder or file holds, and how its run read its data, if known."""
    if isinstance(source, str | PathLike) and place_of(source) not in DATASETS:
        path = at_home(source)
        if path.suffix == ".safetensors":
            return Model.load(path), None
        source = Run.open(path) if Run(path).config_file.is_file() else None
    if isinstance(source, Run):
        return source.generator, source.config.data
    return (source, None) if isinstance(source, Model) else None


def _of_data(data: Data, seed: int, number: int, split: Split) -> Opened:
    train, held = data.train, data.held_out
    parts = {"all": (train, held), "train": (train,), "held-out": (held,)}[split]
    values = data.report.value_range if data.report.range_found else None
    sizes = [part.size for part in parts if part.size is not None]
    if not sizes:

        def draw(n: int) -> NDArray[np.float64]:
            first = number * _SECOND + int(torch.randint(_SECOND // 2, (), generator=rng(seed, "first of the endless")))
            return _numbers_of(parts[0], data, torch.arange(first, first + n))

        return Opened(data.shape, None, draw, values)
    places = np.arange(sum(sizes))
    if train.source is not None and train.source is held.source and len(parts) > 1:
        # Each once, in the order of the source: two sources may correspond, and each is cut in its own way.
        places = np.unique(np.concatenate([part.rows for part in parts]), return_index=True)[1]

    def take(n: int) -> NDArray[np.float64]:
        index, before = torch.from_numpy(places)[_chosen(len(places), n, seed)], 0
        found = np.empty((n, math.prod(data.shape)))
        for part, size in zip(parts, sizes, strict=True):
            here = (index >= before) & (index < before + size)
            if here.any():
                found[here.numpy()] = _numbers_of(part, data, index[here] - before)
            before += size
        return found

    return Opened(data.shape, len(places), take, values)


def _numbers_of(part: Samples, data: Data, index: torch.Tensor) -> NDArray[np.float64]:
    """Some samples (n, D): vectors to the last digit, pixels in [0, 1]."""
    return part.in_own_units(index) if isinstance(part, Vectors) else _flat(data.units.to_user(part.batch(index)))


def _flat(array: NDArray[Any]) -> NDArray[np.float64]:
    """Pictures as bytes (N, H, W, C), or vectors (N, D) -> (N, D), pixels in [0, 1]."""
    return rows(array) / 255 if array.ndim == 4 else rows(array)


def _chosen(size: int, n: int, seed: int) -> torch.Tensor:
    """Which n of so many samples."""
    chosen = torch.randperm(size, device="cpu", generator=rng(seed, "chosen samples"))
    return chosen[:n] if n < size else torch.arange(size, device="cpu")
