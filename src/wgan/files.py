"""Files: where they are, and whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under a temporary name, bring it to the disk, and only then give it its name.

    A process that is killed at any moment leaves the old file or the new one, never a half.
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
    finally:
        temporary.unlink(missing_ok=True)


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path as a shell would take it; a ~ before a user whom nobody knows stays, where pathlib would fail."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
