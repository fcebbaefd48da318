"""Pictures in a folder or a .zip: listing them safely, and reading them one at a time.

Nothing is trusted. Only regular files are opened, an archive is read and never extracted. In a folder, links to
regular files in it are followed; those that lead out of it are if that is asked for, for stores of data sets are made
of them (git-annex, DVC, Hugging Face). Links to folders are not, for they may go round in circles. Whatever is not used
is named with the reason; hidden files alone pass silently.
"""

import hashlib
import os
import stat
import weakref
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, final

from wgan.data.images import MOST_BYTES, Header, Target, Unreadable, becoming_unreadable, decode, header, reason
from wgan.data.source import Read, Source, in_order
from wgan.errors import WganError
from wgan.files import CHECKPOINTS, RUN_CONFIG
from wgan.machine.processor import cores
from wgan.words import printable

MOST_WORKERS = 16
"""Threads that read at once; more wait for the disk."""

SHEET = "-contact-sheet.png"
"""How the names of contact sheets end: `wgan data` may draw one into the very folder it reads."""

_A_RUN, _A_SHEET = "a run's folder", "a contact sheet"

MOST_RATIO = 1000
"""A member that grows more than this (and past a megabyte) when it is unpacked is taken for a bomb."""


class Listed(NamedTuple):
    """A file: its name relative to the root, with slashes, and what tells its content apart."""

    name: str
    stamp: str


@final
class Files(Source):
    """Pictures that are opened by name.

    Args:
        path: The folder or archive.
        listed: What is in it.
        skipped: What is in it but cannot be used.
        opener: Opens a name for reading.
        stamp: What tells the whole apart, beside the files' own stamps.
        levels: Leading folders that are no classes.
    """

    def __init__(
        self,
        path: Path,
        listed: list[Listed],
        skipped: list[tuple[str, str]],
        opener: Callable[[str], BinaryIO],
        *,
        stamp: str = "",
        levels: int = 0,
    ) -> None:
        self.name = path.stem if path.is_file() else path.name
        self.place = str(path)
        self.workers = min(MOST_WORKERS, cores())
        self.skipped = skipped
        self._listed = sorted(listed)
        self._open = opener
        self._stamp = stamp
        self._levels = levels

    def __len__(self) -> int:
        return len(self._listed)

    def title(self, number: int) -> str:
        """The file's name relative to the root."""
        return printable(self._listed[number].name)

    def read(self, number: int, target: Target) -> Read:
        """Decode a file; its class is its folder's name."""
        name = self._listed[number].name
        with becoming_unreadable(), self._open(name) as file:
            seen, pixels = decode(file, target)
        folders = name.split("/")[self._levels : -1]
        return Read(seen, pixels, printable(folders[0]) if folders else None)

    def headers(self) -> Iterator[Header | Unreadable]:
        """The header of every file."""
        return in_order(self._header, len(self), self.workers)

    def fingerprint(self) -> str:
        """A hash of the path, of all names and stamps, and of what is skipped and why, which reports tell."""
        sha = hashlib.sha256(f"{self.place}\0{self._stamp}\0".encode(errors="surrogateescape"))
        for name, stamp in [*self._listed, *self.skipped]:
            sha.update(f"{name}\0{stamp}\0".encode(errors="surrogateescape"))
        return sha.hexdigest()

    def _header(self, number: int) -> Header | Unreadable:
        try:
            with becoming_unreadable(), self._open(self._listed[number].name) as file:
                return header(file)
        except Unreadable as error:
            return error


def stamp_of(info: os.stat_result) -> str:
    """What tells a file's content apart without reading it: its size, and when it was written and changed.

    Copies and unpacked archives may keep the first time; the second, which nobody can set, is also that of a chmod or a
    new name, after which all is read once more.
    """
    return f"{info.st_size} {info.st_mtime_ns} {info.st_ctime_ns}"


def folder(path: Path, follow_links: bool = False) -> Files:
    """The pictures in a folder and the folders in it, but for what this package itself wrote there.

    Args:
        path: The folder.
        follow_links: Whether to follow links to files that are not in it.

    Raises:
        WganError: It is a run's folder.
    """
    root = path.resolve()
    if _is_run(root):
        raise WganError(f"{path} is a run's folder, not a data set; go on with it by wgan resume, or see wgan sample.")
    listed: list[Listed] = []
    skipped: list[tuple[str, str]] = []
    waiting = [root]
    while waiting:
        place = waiting.pop()
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            skipped.append((printable(str(place.relative_to(root))), reason(error)))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = str(Path(entry.path).relative_to(root)).replace(os.sep, "/")
            try:
                found = _look(entry, None if follow_links else root)
            except (Unreadable, OSError) as error:
                skipped.append((printable(name), reason(error)))
                continue
            if isinstance(found, str):
                listed.append(Listed(name, found))
            else:
                waiting.append(found)
    return Files(root, listed, sorted(skipped), lambda name: (root / name).open("rb"))


def _is_run(place: Path) -> bool:
    return (place / RUN_CONFIG).is_file() and (place / CHECKPOINTS).is_dir()


def _look(entry: os.DirEntry[str], within: Path | None) -> Path | str:
    """A folder to look into, or the stamp of a regular file, perhaps at the end of a link within a folder."""
    linked = entry.is_symlink()
    try:
        info = entry.stat()
    except FileNotFoundError as error:
        raise Unreadable("a link to nothing" if linked else reason(error)) from error
    if stat.S_ISDIR(info.st_mode):
        if linked:
            raise Unreadable("a link to a folder")
        place = Path(entry.path)
        if _is_run(place):
            raise Unreadable(_A_RUN)
        return place
    if not stat.S_ISREG(info.st_mode):
        raise Unreadable("a link to what is no regular file" if linked else "not a regular file")
    if entry.name.endswith(SHEET):
        raise Unreadable(_A_SHEET)
    if linked and within and not Path(entry.path).resolve().is_relative_to(within):
        raise Unreadable("a link out of the folder (--follow-links reads it)")
    # Stores may give all files one size and time: what a link says is a part of what it leads to.
    return f"{stamp_of(info)} {Path(entry.path).readlink()}" if linked else stamp_of(info)


def archive(path: Path) -> Files:
    """The pictures in a .zip, which is never extracted.

    Raises:
        WganError: It is no .zip.
    """
    path = path.resolve()
    stamp = stamp_of(path.stat())  # before it is opened: of what may replace it meanwhile, nothing was read
    try:
        opened = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise WganError(f"{path} cannot be read as a .zip: {error}.") from error
    runs = _runs_in(list(map(_with_slashes, opened.namelist())))
    members: dict[str, zipfile.ZipInfo] = {}
    skipped = [(printable(run.rstrip("/") or path.name), _A_RUN) for run in runs]
    for member in opened.infolist():
        name = _with_slashes(member.filename)
        if name.endswith("/") or any(part.startswith(".") and part != ".." for part in name.split("/")):
            continue
        if any(map(name.startswith, runs)):
            continue
        try:
            _check_member(member)
            members[name] = member
        except Unreadable as error:
            skipped.append((printable(name), str(error)))
    # A single folder is that of which somebody made the archive, whatever lies beside it, as a licence.
    levels = int(len({name.split("/")[0] for name in members if "/" in name}) == 1)
    listed = [Listed(name, "") for name in members]
    files = Files(path, listed, sorted(skipped), lambda n: _open_member(opened, members[n]), stamp=stamp, levels=levels)
    weakref.finalize(files, opened.close)  # what a picture that could not be read keeps alive would keep it open
    return files


def _with_slashes(name: str) -> str:
    """A member's name as the format wants it; some archives from Windows have backslashes."""
    return name.replace("\\", "/")


def _runs_in(names: list[str]) -> list[str]:
    """The runs' folders in an archive, each with the slash at its end; "" if it is one."""
    configured = [name.removesuffix(RUN_CONFIG) for name in names if f"/{name}".endswith(f"/{RUN_CONFIG}")]
    return [run for run in configured if any(name.startswith(f"{run}{CHECKPOINTS}/") for name in names)]


def _open_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    # A member yields no more bytes than its header declares, and that was checked.
    return opened.open(member)  # type: ignore[return-value]


def _check_member(member: zipfile.ZipInfo) -> None:
    parts = _with_slashes(member.filename).split("/")
    if ".." in parts or parts[0] == "" or parts[0].endswith(":"):
        raise Unreadable("its name leads out of the archive")
    if member.flag_bits & 1:
        raise Unreadable("encrypted")
    if member.filename.endswith(SHEET):
        raise Unreadable(_A_SHEET)
    if member.file_size > MOST_BYTES:
        raise Unreadable(f"larger than {MOST_BYTES // 2**20} MB when unpacked")
    if member.file_size > 2**20 and member.file_size > MOST_RATIO * member.compress_size:
        raise Unreadable("compressed suspiciously well")
