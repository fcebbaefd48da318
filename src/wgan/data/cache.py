"""Pictures are decoded once: the cache folder, its keys, and entries that are whole or absent."""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from rich.filesize import decimal

from wgan.config import DataConfig
from wgan.data.collect import Rows, choose_target, rows_in_memory, without_warnings, write_rows
from wgan.data.images import Target, Unreadable
from wgan.data.progress import Progress
from wgan.data.report import Report
from wgan.data.source import Source
from wgan.errors import WganError
from wgan.files import at_home

VERSION = 4
WAIT_SECONDS = 6
"""Seconds between two messages to a process that waits; PlainView drops what comes within five of its last line."""


def cache_folder() -> Path:
    """Where pictures and downloads are kept: $WGAN_CACHE, else $XDG_CACHE_HOME/wgan, else ~/.cache/wgan."""
    if own := os.environ.get("WGAN_CACHE"):
        return at_home(own).absolute()
    return at_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache").absolute() / "wgan"


def cache_sizes() -> dict[str, int]:
    """What is in the cache folder: "data/KEY (NAME)" or "downloads/NAME" -> bytes."""
    sizes = {}
    for place in sorted(filter(Path.is_dir, cache_folder().glob("*/*"))):  # and not locks
        meta = _read_meta(place)
        title = f" ({meta['report']['name']})" if meta else ""
        name = f"{place.parent.name}/{place.name}{title}"
        sizes[name] = sum(file.stat().st_size for file in [place, *place.rglob("*")] if file.is_file())
    return sizes


def rows_of(source: Source, options: DataConfig, progress: Progress) -> Rows:
    """The pictures of a source in one shape: from memory, from the cache, or read now.

    Raises:
        WganError: No picture can be read, or the cache folder cannot be written, or not be read back.
    """
    fingerprint = source.fingerprint()
    if fingerprint is None:
        return _uncached(source, options, progress)
    place = cache_folder() / "data" / cache_key(fingerprint, options)
    rows = load(place)
    if rows is None:
        with without_warnings(), writable(place.parent), alone(_lock(place), progress):
            rows = load(place)  # another process may have written it meanwhile
            if rows is None:
                rows = _build(place, source, options, progress)
    return rows


def cache_key(fingerprint: str, options: DataConfig) -> str:
    """The entry's name: a hash of the source, the options that change pixels, and this format's version."""
    matters = (options.size, options.channels, options.fit, options.value_range)
    return hashlib.sha256(repr((VERSION, fingerprint, matters)).encode()).hexdigest()[:32]


def load(place: Path) -> Rows | None:
    """The entry, its pictures memory-mapped; None if it is not there, not whole, or of another version."""
    meta = _read_meta(place)
    if meta is None:
        return None
    try:
        images = np.load(place / "images.npy", mmap_mode="r", allow_pickle=False)
        digests = np.load(place / "digests.npy", allow_pickle=False)
        labels = np.load(place / "labels.npy", allow_pickle=False) if meta["labelled"] else None
    except (OSError, ValueError, EOFError):
        return None
    report = Report.from_json(meta["report"])
    lengths = {len(images), len(digests), len(images if labels is None else labels), report.count}
    whole = lengths == {report.count} and (images.shape[3], *images.shape[1:3]) == report.shape
    return Rows(images, labels, digests, report) if whole else None


@contextmanager
def alone(lock: Path, progress: Progress) -> Iterator[None]:
    """Let one process at a time do what others, of any user, may want to do as well."""
    held, patience = FileLock(lock, mode=0o666), 0.0
    while not held.is_locked:
        try:
            held.acquire(timeout=patience)
        except Timeout:
            progress("waiting for another process that prepares the same data", 0, 1)
            patience = WAIT_SECONDS
    try:
        yield
    finally:
        held.release()


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn a full or locked disk into a sentence that says what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else (error.strerror or str(error))
        raise WganError(
            f"the cache folder {folder} cannot be written ({what}); "
            "set $WGAN_CACHE to a folder that can be written and has room."
        ) from error


def _uncached(source: Source, options: DataConfig, progress: Progress) -> Rows:
    """Pixels in memory as they are, or else in a file without a name that ends with its last reader."""
    with without_warnings():
        target, notes = choose_target(source, options, progress)
        images = source.ready(target)
        if images is not None:
            return rows_in_memory(source, images, notes)
        with writable(cache_folder()), tempfile.TemporaryFile(dir=cache_folder()) as file:
            _demand_room(source, target, cache_folder())
            labels, digests, report = write_rows(source, target, notes, file, progress)
            offset = file.seek(0, os.SEEK_END) - len(digests) * int(np.prod(target.shape))
            try:
                mapped = np.memmap(file, np.uint8, "r", offset, (len(digests), *target.shape))
            except OSError as error:
                raise _unreadable(cache_folder()) from error
    return Rows(mapped, labels, digests, report)


def _lock(place: Path) -> Path:
    """Held by the one process that writes an entry, or clears away what was left of it."""
    return place.with_suffix(".lock")


def _build(place: Path, source: Source, options: DataConfig, progress: Progress) -> Rows:
    """Write an entry beside its place, then move it there in one step; a damaged one there makes way.

    Raises:
        WganError: What was written cannot be mapped into memory.
    """
    _sweep(place.parent)
    part = place.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        target, notes = choose_target(source, options, progress)
        _demand_room(source, target, part)
        with (part / "images.npy").open("wb") as file:
            labels, digests, report = write_rows(source, target, notes, file, progress)
        np.save(part / "digests.npy", digests, allow_pickle=False)
        if labels is not None:
            np.save(part / "labels.npy", labels, allow_pickle=False)
        meta = {"format_version": VERSION, "labelled": labels is not None, "report": report.to_json()}
        (part / "meta.json").write_text(json.dumps(meta, allow_nan=False))
        rows = load(part)
        if rows is None:
            raise _unreadable(place)
        if place.is_file() or place.is_symlink():
            place.unlink()
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return rows


def _unreadable(place: Path) -> WganError:
    """The error where files can be written but not mapped into memory, as on some mounts."""
    return WganError(f"{place} cannot be read back; set $WGAN_CACHE to a folder on another disk.")


def _demand_room(source: Source, target: Target, folder: Path) -> None:
    """Make sure that the disk has room for all pictures, before an hour is spent on filling it.

    Raises:
        WganError: It has not.
    """
    free, each = shutil.disk_usage(folder).free, math.prod(target.shape)
    if len(source) * each <= free:
        return
    # Perhaps most of the files are no pictures; that costs a look at each, and so it is asked only now.
    count = len(source) - sum(isinstance(seen, Unreadable) for seen in source.headers())
    if count * each > free:
        raise WganError(
            f"{count:,} pictures of {target.height}x{target.width}x{target.channels} take "
            f"{decimal(count * each)} in the cache folder {cache_folder()}, and {decimal(free)} are free there; "
            "make them smaller with --size, or set $WGAN_CACHE to a folder that has room."
        )


def _sweep(folder: Path) -> None:
    """Remove what killed processes left of other entries: what nobody holds."""
    for part in folder.glob("*.part"):
        with suppress(OSError), FileLock(_lock(part), timeout=0, mode=0o666):  # such as that its builder holds it
            shutil.rmtree(part, ignore_errors=True)


def _read_meta(place: Path) -> dict[str, Any] | None:
    try:
        meta = json.loads((place / "meta.json").read_text())
        known = meta["format_version"] == VERSION and {"labelled", "report"} <= set(meta)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return meta if known else None
