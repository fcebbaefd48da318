"""Files: where they are, and whole or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wgan.errors import WganError

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
    except OSError as error:  # the temporary name would tell a person nothing
        blocked = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file is where its folder would be" if blocked else error.strerror or str(error)
        raise UnwrittenError(error.errno or errno.EIO, why, str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written in a folder, which nobody else may be writing to."""
    for part in folder.glob(f".*{_PART}"):
        shutil.rmtree(part, ignore_errors=True)


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path with its ~ expanded as a shell does it: that of an unknown user stays, where pathlib would fail."""
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
    """Make the first subfolder of an empty folder; False if something is in there, or another process was first."""
    if any(folder.iterdir()):
        return False
    try:
        (folder / part).mkdir()
    except FileExistsError:
        return False
    return True
