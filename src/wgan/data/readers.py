"""Paths: a folder, or a file by its suffix. A new format is one function and its line in ``READERS``."""

import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.arrays import Origin, open_array
from wgan.data.assemble import pictures
from wgan.data.files import archive, folder, stamp_of
from wgan.data.progress import Progress
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.registry import DATASETS, no_such
from wgan.words import first_line, printable

IMAGE_NAMES = ("images", "x", "arr_0", "data")
LABEL_NAMES = ("labels", "y")
TRAIN, TEST = "x_train", "x_test"
"""The names that Keras gives to the two parts of a set; their labels begin with a y."""

Labelled = tuple[NDArray[Any], NDArray[Any] | None]

_BROKEN = (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError)
"""What NumPy raises for damaged, encrypted or cut files."""

_HOW = "np.savez('new.npz', images=...)"


def open_path(path: Path, options: DataConfig, progress: Progress) -> Data:
    """A data set from a folder or file.

    Raises:
        UsageError: There is nothing of that name, or the file is of no known kind.
        WganError: It cannot be read.
    """
    if path.is_dir():
        return pictures(folder(path, options.follow_links), options, progress)
    if not path.exists():
        numbers = re.fullmatch(r"[-+.eE\d]+(,[-+.eE\d]+)+", str(path))
        hint = " Numbers with commas are histograms: wgan distance A B --histograms." if numbers else ""
        raise UsageError(_nothing_there(path) + hint)
    reader = READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        remedy = f"; for pictures give their folder, {path.absolute().parent}" if path.is_file() else ""
        if path.suffix.lower() in (".csv", ".tsv", ".txt"):
            remedy = "; for a table save its numbers with numpy.save"
        raise UsageError(
            f"{path} is not a data set: it must be a folder, a file ({', '.join(READERS)}) or a known name{remedy}."
        )
    return reader(path, options, progress)


def _nothing_there(path: Path) -> str:
    if len(path.parts) > 1 or path.suffix:
        return f"there is no file or folder {path}; data is a folder, a {' or '.join(READERS)} file, or a name."
    if str(path) in DATASETS:
        return f"there is no folder ./{path} here; the data set that wgan knows as {path} is named without the ./"
    return f"{no_such('data set', str(path), DATASETS)} There is no folder of that name here either."


def _read_zip(path: Path, options: DataConfig, progress: Progress) -> Data:
    return pictures(archive(path), options, progress)


def _read_npy(path: Path, options: DataConfig, progress: Progress) -> Data:
    origin = _origin(path, "npy")
    return open_array(_mapped(path), None, origin, options, progress)


def _read_npz(path: Path, options: DataConfig, progress: Progress) -> Data:
    official, origin = None, _origin(path, "npz")
    with path.open("rb") as file:
        found = _opened(path, file)
        images = choose_array(found.files, path)
        candidates = (*LABEL_NAMES, *(["y_train"] if images == TRAIN else []))
        labels = next((name for name in candidates if name in found.files and name != images), None)
        array = _load(path, lambda: found[images])
        classes = None if labels is None else _load(path, lambda: found[labels])
        if images == TRAIN and TEST in found.files:
            test = _load(path, lambda: found[TEST])
            answers = _load(path, lambda: found["y_test"]) if "y_test" in found.files else None
            array, classes, official = _with_test(path, (array, classes), (test, answers))
    data = open_array(array, classes, origin, options, progress, official)
    read = {images, labels, *((TEST, "y_test") if official is not None else ())}
    if unread := ", ".join(printable(name) for name in found.files if name not in read):
        data = replace(data, report=replace(data.report, notes=[*data.report.notes, f"not read of it: {unread}."]))
    return data


def _with_test(path: Path, train: Labelled, test: Labelled) -> tuple[NDArray[Any], NDArray[Any] | None, int | None]:
    """Samples to train on and then those of the official test split, their labels, and where the second begin."""
    (x, y), (more, answers) = train, test
    if 0 in (x.size, more.size, x.ndim, more.ndim):
        return x, y, None
    if (x.shape[1:], x.dtype) != (more.shape[1:], more.dtype):
        raise WganError(
            f"{path} has {TRAIN} of shape {x.shape} and type {x.dtype} but {TEST} of shape {more.shape} and type "
            f"{more.dtype}; write one of them alone: {_HOW}."
        )
    for name, samples, labels in ((TRAIN, x, y), (TEST, more, answers)):
        if labels is not None and labels.shape[:1] != samples.shape[:1]:
            raise WganError(
                f"{path} has {len(samples):,} samples in {name}, but labels of shape {labels.shape}; fix it first."
            )
    same = y is not None and answers is not None and y.shape[1:] == answers.shape[1:]
    return np.concatenate([x, more]), np.concatenate([y, answers]) if same else None, len(x)


READERS: Mapping[str, Callable[[Path, DataConfig, Progress], Data]] = {
    ".zip": _read_zip,
    ".npy": _read_npy,
    ".npz": _read_npz,
}


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file, or that of a .npz which :func:`choose_array` takes, as it was written.

    Raises:
        WganError: It is damaged or holds objects, or it is not known which of a .npz's arrays to take.
    """
    if path.suffix.lower() == ".npy":
        return _mapped(path)
    with path.open("rb") as file:
        found = _opened(path, file)
        name = choose_array(found.files, path)
        array: NDArray[Any] = _load(path, lambda: found[name])
    return array


def axes_of(path: Path) -> int | None:
    """How many axes the array of a .npy or .npz has, from its header alone; None where that cannot be told."""
    with suppress(Exception):  # whatever is wrong with it is said when it is opened
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return _axes(file)
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as opened:
                names = [name.removesuffix(".npy") for name in opened.namelist()]
                with opened.open(f"{choose_array(names, path)}.npy") as file:
                    return _axes(file)
    return None


def _axes(file: IO[bytes]) -> int:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return len(read(file)[0])


def choose_array(names: list[str], path: Path) -> str:
    """The array that holds the samples: the only one beside the labels, or the one with a usual name, Keras' last.

    Raises:
        WganError: There is none, or no way to tell.
    """
    candidates = [name for name in names if name not in LABEL_NAMES]
    usual = [name for name in (*IMAGE_NAMES, TRAIN) if name in candidates]
    if len(candidates) == 1:
        return candidates[0]
    if not usual:
        raise WganError(
            f"{path} holds arrays {', '.join(map(printable, names)) or '(none)'}, and which one to take is not known; "
            f"name it {' or '.join((*IMAGE_NAMES, TRAIN))}, as by {_HOW}."
        )
    return usual[0]


def _mapped(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = _load(path, lambda: np.lib.format.open_memmap(path, mode="r"))
    return array


def _opened(path: Path, file: IO[bytes]) -> Any:
    return _load(path, lambda: np.lib.npyio.NpzFile(file, allow_pickle=False))


def _load(path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except _BROKEN as error:
        why = first_line(error) if str(error).strip() else "it ends too early"
        raise WganError(
            f"{path} cannot be read ({why}); it must be an array of plain numbers as np.save or np.savez "
            "writes it (objects are never unpickled)."
        ) from error


def _origin(path: Path, kind: str) -> Origin:
    """To be asked for before the file is opened: of what may replace it meanwhile, nothing was read."""
    path = path.resolve()
    return Origin(path.stem, str(path), kind, f"{path}\0{stamp_of(path.stat())}")
