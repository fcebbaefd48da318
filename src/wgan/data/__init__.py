"""Samples to train on: from a name, a folder, an archive, an array or any object with a length and items.

:func:`open_data` is the door. To add a named data set, write one function ``(options, progress) -> Data`` and
its line in ``wgan.registry.DATASETS``; to add a file format, write one reader and its line in
``wgan.data.readers.READERS``.
"""

from __future__ import annotations

from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wgan.config import Config, DataConfig
from wgan.data.progress import Progress, quiet
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.registry import DATASETS

if TYPE_CHECKING:
    from wgan.data.samples import Data


def place_of(source: str | PathLike[str]) -> str:
    """A path as a text that is no data set's name: pathlib drops the ./ that tells a folder from one."""
    text = fspath(source)
    return f"./{text}" if text in DATASETS and not isinstance(source, str) else text


def holds_vectors(source: Any) -> bool:
    """Whether samples are vectors, as far as it can be told without reading them."""
    if isinstance(source, str | PathLike):
        if source in DATASETS:
            return DATASETS[str(source)].target.startswith("wgan.data.toys:")
        if Path(source).suffix.lower() not in (".npy", ".npz"):  # else it would import torch for a folder
            return False
        from wgan.data.readers import axes_of

        return axes_of(at_home(source)) in (1, 2)
    from wgan.data.samples import Data

    if isinstance(source, Data):
        return len(source.shape) == 1
    if hasattr(source, "ndim") or hasattr(source, "to_numpy"):  # an array or a table, and no list of a data set's items
        return len(getattr(source, "shape", ())) in (1, 2)
    return False


def _beside(data: Data, path: Path) -> Data:
    """A named data set, with a note if there is something else of that name here."""
    if not path.exists():
        return data
    note = f"this is the data set that wgan knows as {path}; what is here under that name is ./{path}"
    return replace(data, report=replace(data.report, notes=[*data.report.notes, note + "."]))


def _check_suits(data: Data, options: DataConfig) -> None:
    """Refuse options that samples which are opened already do not follow."""
    broken = {
        "size": options.size is not None and options.size != data.shape[1:],
        "channels": options.channels is not None and options.channels != data.shape[0],
        "value_range": options.value_range is not None and options.value_range != data.report.value_range,
    }
    for name in ("fit", "held_out"):
        asked, opened = getattr(options, name), getattr(data.options, name, None)
        broken[name] = asked not in (getattr(DataConfig(), name), opened) and opened is not None
    if names := ", ".join(name for name, is_broken in broken.items() if is_broken):
        raise UsageError(f"the samples of {data.name} are opened already; give {names} to open_data instead.")


def open_data(source: Any, options: DataConfig | None = None, *, progress: Progress = quiet) -> Data:
    """Open a data set and split it into samples to train on and samples held out.

    Args:
        source: A name in ``wgan.registry.DATASETS``; a folder, ``.zip``, ``.npy`` or ``.npz``; a numpy array
            or torch tensor; any object with ``__len__`` and ``__getitem__`` (items: a PIL picture, a tensor
            (C, H, W), an array, a pair of one of them and a label, or a mapping such as ``{"image": ..., "label":
            ...}``); or a :class:`~wgan.data.samples.Data`,
            which is returned as it is, unless the options ask for another. Numbers in 3 or 4 axes are pictures, floats
            too, and are rounded to 256 levels: reshape signals, point clouds, densities and the like to (N, D), which
            are vectors and are not rounded.
        options: Size, channels, the held-out share and so on, by default the usual ones. ``options.data`` is not
            looked at, and ``options.flip`` is only refused for vectors: mirroring is an argument of
            :class:`~wgan.trainer.Trainer`.
        progress: Called with a label, how many are done, and how many there are.

    Raises:
        UsageError: The name is unknown, or an option is none of those that are allowed, or does not suit the data.
        WganError: The data cannot be found, read or stored.
    """
    from wgan.data.objects import open_object
    from wgan.data.readers import open_path
    from wgan.data.samples import Data
    from wgan.options import flatten, make_config

    if options is not None and not isinstance(options, DataConfig):
        raise UsageError(f"options is {options!r}; give an object such as DataConfig(size=(64, 64)).")
    options = make_config(flatten(Config(data=options or DataConfig()))).data
    if isinstance(source, Data):
        _check_suits(source, options)
        return source
    if isinstance(source, str) and not source.strip():
        raise UsageError("data is an empty text; give a name, a folder or a file.")
    if isinstance(source, str) and source in DATASETS:
        data: Data = DATASETS[source].load()(options, progress)
        return _beside(data, Path(source))
    if isinstance(source, str | PathLike):
        return open_path(at_home(source), options, progress)
    return open_object(source, options, progress)
