"""Paths: a folder, or a file by its suffix. A new format is one function and its line in ``READERS``."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wgan.config import DataConfig
from wgan.data.arrays import Origin, open_array
from wgan.data.assemble import pictures
from wgan.data.files import archive, folder
from wgan.data.progress import Progress
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.registry import DATASETS, unknown

IMAGE_NAMES = ("images", "x", "arr_0", "data")
LABEL_NAMES = ("labels", "y")


def open_path(path: Path, options: DataConfig, progress: Progress) -> Data:
    """A data set from a folder or file.

    Raises:
        UsageError: There is nothing of that name, or the file is of no known kind.
        WganError: It cannot be read.
    """
    if path.is_dir():
        return pictures(folder(path), options, progress)
    if not path.exists():
        raise UsageError(_nothing_there(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        kinds = ", ".join(READERS)
        raise UsageError(f"{path} is not a data set: it must be a folder, a file ({kinds}) or a known name.")
    return reader(path, options, progress)


def _nothing_there(path: Path) -> str:
    if len(path.parts) > 1 or path.suffix:
        return f"there is no file or folder {path}; data is a folder, a {' or '.join(READERS)} file, or a name."
    return f"{unknown('data set', str(path), DATASETS)} There is no folder of that name here either."


def _read_zip(path: Path, options: DataConfig, progress: Progress) -> Data:
    return pictures(archive(path), options, progress)


def _read_npy(path: Path, options: DataConfig, progress: Progress) -> Data:
    array = _load(path, lambda: np.lib.format.open_memmap(path, mode="r"))
    return open_array(array, None, _origin(path, "npy"), options, progress)


def _read_npz(path: Path, options: DataConfig, progress: Progress) -> Data:
    with path.open("rb") as file:
        found = _load(path, lambda: np.lib.npyio.NpzFile(file, allow_pickle=False))
        images = choose_array(found.files, path)
        labels = next((name for name in LABEL_NAMES if name in found.files and name != images), None)
        array = _load(path, lambda: found[images])
        classes = None if labels is None else _load(path, lambda: found[labels])
    return open_array(array, classes, _origin(path, "npz"), options, progress)


READERS: Mapping[str, Callable[[Path, DataConfig, Progress], Data]] = {
    ".zip": _read_zip,
    ".npy": _read_npy,
    ".npz": _read_npz,
}


def choose_array(names: list[str], path: Path) -> str:
    """The array that holds the samples: the only one beside the labels, or the one with a usual name.

    Raises:
        WganError: There is none, or no way to tell.
    """
    candidates = [name for name in names if name not in LABEL_NAMES]
    usual = [name for name in IMAGE_NAMES if name in candidates]
    if len(candidates) == 1:
        return candidates[0]
    if not usual:
        raise WganError(f"{path} holds arrays {', '.join(names) or '(none)'}; name one {' or '.join(IMAGE_NAMES)}.")
    return usual[0]


def _load(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        why = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise WganError(
            f"{path} cannot be read ({why}); it must be an array of plain numbers as np.save or np.savez "
            "writes it (objects are never unpickled)."
        ) from error


def _origin(path: Path, kind: str) -> Origin:
    path = path.resolve()
    info = path.stat()
    return Origin(path.stem, str(path), kind, f"{path}\0{info.st_size}\0{info.st_mtime_ns}")
