"""Files: where they are, and whole or not at all."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wgan.errors import UsageError, WganError

_PART = ".part"
RUN_CONFIG, CHECKPOINTS = "config.toml", "checkpoints"
"""The names in a folder by which a run is known, to what reads data too."""


class UnwrittenError(WganError, OSError):
    """A file that could not be written, by the name that was wanted; ``errno`` and ``strerror`` say why."""

    def __str__(self) -> str:
        room = "make room there, or " if self.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{self.filename} cannot be written ({self.strerror}); {room}choose another place."


def write_atomically(path: Path, write: Callable[[Path], object], parents: bool = False) -> None:
    """Let ``write`` make a file under a temporary name, bring it to the disk, and only then give it its name.

    A process that is killed at any moment leaves the old file or the new one, never a half. What it had written so far
    stays in a hidden folder beside it, with all that ``write`` puts beside its file; :func:`sweep` removes that.

    Args:
        path: Where to.
        write: Is told where.
        parents: Whether to make the folder that it is in, if it is missing.

    Raises:
        UnwrittenError: The disk is full, or the folder cannot be made or written.
    """
    folder = path.with_name(f".{path.name}.{os.getpid()}{_PART}")
    temporary = folder / path.name
    try:
        folder.mkdir(parents=parents, exist_ok=True)  # a killed process may have had our number
        temporary.touch()
        usual = temporary.stat().st_mode  # some writers are stricter than the user's umask
        write(temporary)
        temporary.chmod(usual)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make files in a hidden place within a folder, and only then give all of them to the folder.

    Whatever goes wrong, Ctrl-C too, none of them is there afterwards. A process that is killed leaves the hidden place,
    which :func:`is_free` does not count. Files are not brought to the disk one by one: that takes longer than making
    them.

    Args:
        folder: A free folder, or the name of a new one. It is kept, not replaced, for it may be a link, a mount, or
            where somebody's shell is.
        write: Is told where.

    Raises:
        UsageError: The folder is not free.
        UnwrittenError: The disk is full, or the folder cannot be made or written.
    """
    is_new, made = not folder.exists(), list[Path]()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not is_free(folder):
            raise UsageError(f"--out: the folder {folder} is not empty; choose another, so that nothing is mixed up.")
        with tempfile.TemporaryDirectory(prefix=".", suffix=_PART, dir=folder) as part:
            write(Path(part))
            made = list(Path(part).iterdir())
            for file in made:
                file.rename(folder / file.name)
        sweep(folder)
    except BaseException as error:
        with suppress(OSError):
            for file in made:
                (folder / file.name).unlink(missing_ok=True)
            if is_new:
                folder.rmdir()
        if isinstance(error, OSError):
            raise _unwritten(folder, error) from error
        raise


def is_free(folder: Path) -> bool:
    """Whether there is no such folder, or nothing in it but what killed processes left half written.

    Raises:
        OSError: It is no folder, or cannot be looked into.
    """
    return not folder.exists() or set(folder.iterdir()) <= set(_parts(folder))


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder, which nobody else may be writing to."""
    for part in _parts(folder):
        shutil.rmtree(part, ignore_errors=True)


def _parts(folder: Path) -> Iterator[Path]:
    return folder.glob(f".*{_PART}")


def _unwritten(path: Path, error: OSError) -> UnwrittenError:
    """The error of the name that was wanted, for that of what was being written would tell a person nothing."""
    blocked = isinstance(error, FileExistsError | NotADirectoryError)
    why = "a file is where its folder would be" if blocked else error.strerror or str(error)
    return UnwrittenError(error.errno or errno.EIO, why, str(path))


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path with its ~ expanded as a shell does it: that of an unknown user stays, where pathlib would fail.

    Raises:
        UsageError: It is no path, or an empty one.
    """
    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"a path is a text or a pathlib.Path, and this is of type {type(path).__name__}: {path!r}.")
    if path == "":
        raise UsageError("a path is empty; give that of a file or folder.")
    return Path(os.path.expanduser(path))  # noqa: PTH111


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object atomically, for people to read too."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one where there is no file.

    Raises:
        WganError: It is damaged.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WganError(f"{path} is damaged; delete it: wgan goes on without it.")
    return value


def claim(folder: Path, part: str) -> bool:
    """Make the first subfolder of a free folder; False if something is in there, or another process was first."""
    if not is_free(folder):
        return False
    try:
        (folder / part).mkdir()
    except FileExistsError:
        return False
    return True
