"""Files: where they are, and whole or not at all."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wgan.errors import WganError


class UnwrittenError(WganError, OSError):
    """A file that could not be written, by the name that was wanted; ``errno`` and ``strerror`` say why."""

    def __str__(self) -> str:
        room = "make room there, or " if self.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{self.filename} cannot be written ({self.strerror}); {room}choose another place."


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under a temporary name, bring it to the disk, and only then give it its name.

    A process that is killed at any moment leaves the old file or the new one, never a half.

    Raises:
        UnwrittenError: The disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        usual = temporary.stat().st_mode  # some writers are stricter than the user's umask
        write(temporary)
        temporary.chmod(usual)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # the temporary name would tell a person nothing
        raise UnwrittenError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):  # a disk that cannot be written refuses to remove what is not there
            temporary.unlink(missing_ok=True)


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path as a shell would take it; a ~ before a user whom nobody knows stays, where pathlib would fail."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
