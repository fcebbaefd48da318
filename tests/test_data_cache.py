"""The cache: one decoding, rebuilt when something changed or broke, safe with several builders."""

import errno
import multiprocessing
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from wgan.config import DataConfig
from wgan.data import cache as cache_module
from wgan.data import files, open_data
from wgan.data.cache import cache_folder, cache_sizes
from wgan.data.samples import Data, Pictures
from wgan.errors import WganError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for n in range(30):
        (root / "abc"[n % 3]).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (n, 2 * n, 3 * n)).save(root / "abc"[n % 3] / f"{n:02}.png")
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every picture that is decoded."""
    calls: list[int] = []
    really = files.decode

    def counting(*args: Any) -> Any:
        calls.append(1)
        return really(*args)

    monkeypatch.setattr(files, "decode", counting)
    return calls


def entries(cache: Path) -> list[Path]:
    """The folders of the cache, without locks."""
    return sorted(path for path in (cache / "data").iterdir() if path.is_dir())


def stored(cache: Path) -> list[Path]:
    """The files of the cache, without locks."""
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def same(a: Data, b: Data) -> bool:
    assert isinstance(a.train, Pictures)
    assert isinstance(b.train, Pictures)
    return (
        a.report == b.report
        and np.array_equal(a.train.images, b.train.images)
        and np.array_equal(a.train.rows, b.train.rows)
        and np.array_equal(a.train.labels, b.train.labels)  # type: ignore[arg-type]
    )


def test_a_second_opening_decodes_nothing(photos: Path, decoded: list[int]) -> None:
    first = open_data(photos, DataConfig())
    assert len(decoded) == 30
    assert isinstance(first.train, Pictures)
    assert isinstance(first.train.images, np.memmap)
    second = open_data(photos, DataConfig(flip=True))
    assert len(decoded) == 30
    assert same(first, second)
    open_data(photos, DataConfig(held_out=5))
    assert len(decoded) == 30


def test_options_and_changed_files_decode_again(photos: Path, decoded: list[int]) -> None:
    open_data(photos, DataConfig())
    open_data(photos, DataConfig(size=(4, 4)))
    open_data(photos, DataConfig(fit="pad"))
    assert len(decoded) == 90
    path = photos / "a" / "00.png"
    Image.new("RGB", (8, 8), (250, 0, 0)).save(path)
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns + 1))
    changed = open_data(photos, DataConfig())
    assert len(decoded) == 120
    assert isinstance(changed.train, Pictures)
    assert changed.train.images[0, 0, 0].tolist() == [250, 0, 0]
    path.unlink()
    assert open_data(photos, DataConfig()).report.count == 29


def _write(place: Path, kind: str, value: int) -> list[Path]:
    """A data set of three grey pictures, as large whatever their value; gives its files."""
    pixels = np.full((3, 8, 8), value, np.uint8)
    if kind in ("npy", "npz"):
        np.save(place, pixels) if kind == "npy" else np.savez(place, images=pixels)
        return [place]
    if kind == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            for n, image in enumerate(pixels):
                archive.writestr(f"{n}.pgm", b"P5 8 8 255\n" + image.tobytes())
        return [place]
    place.mkdir(exist_ok=True)
    for n, image in enumerate(pixels):
        Image.fromarray(image).save(place / f"{n}.bmp")
    return sorted(place.iterdir())


@pytest.mark.parametrize("kind", ["folder", "zip", "npy", "npz"])
def test_what_is_replaced_by_a_file_as_large_and_as_old_is_read_again(tmp_path: Path, kind: str) -> None:
    place = tmp_path / f"data.{kind}"
    before = [file.stat() for file in _write(place, kind, 107)]
    assert open_data(place, DataConfig()).train.images[1, 0, 0, 0] == 107  # type: ignore[attr-defined]
    time.sleep(0.02)  # a file system's clock may tick a hundred times a second
    for file, was in zip(_write(place, kind, 109), before, strict=True):
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # as cp -p does, and rsync -t
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert open_data(place, DataConfig()).train.images[1, 0, 0, 0] == 109  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["meta.json", "images.npy", "digests.npy", "labels.npy"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "nonsense"])
def test_a_damaged_entry_is_built_again(photos: Path, decoded: list[int], cache: Path, name: str, damage: str) -> None:
    first = open_data(photos, DataConfig())
    expected = np.array(first.train.images)  # type: ignore[attr-defined]
    (place,) = entries(cache)
    content = (place / name).read_bytes()
    (place / name).unlink()
    if damage != "missing":
        (place / name).write_bytes({"cut": content[:-9], "empty": b"", "nonsense": b"{}"}[damage])
    again = open_data(photos, DataConfig())
    assert len(decoded) == 60
    assert np.array_equal(again.train.images, expected)  # type: ignore[attr-defined]
    assert entries(cache) == [place], "nothing is left behind"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_makes_way_for_an_entry(photos: Path, cache: Path, kind: str) -> None:
    open_data(photos, DataConfig())
    (place,) = entries(cache)
    shutil.rmtree(place)
    place.touch() if kind == "file" else place.symlink_to("nowhere")
    assert open_data(photos, DataConfig()).report.count == 30
    assert entries(cache) == [place] and not place.is_symlink()


def test_a_lock_is_every_user_s(photos: Path, cache: Path) -> None:
    open_data(photos, DataConfig())
    (lock,) = (cache / "data").glob("*.lock")
    assert lock.stat().st_mode & 0o666 == 0o666


def test_a_failed_build_leaves_nothing(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(WganError):
        open_data(tmp_path, DataConfig())
    assert entries(cache) == []


def test_what_a_killed_process_left_is_swept(photos: Path, cache: Path) -> None:
    open_data(photos, DataConfig())
    (place,) = entries(cache)
    place.rename(place.with_suffix(".part"))
    held, left = cache / "data" / "held.part", cache / "data" / "left.part"
    for part in (held, left):
        part.mkdir()
        (part / "images.npy").touch()
    with FileLock(held.with_suffix(".lock")):
        assert open_data(photos, DataConfig()).report.count == 30
    assert entries(cache) == sorted([place, held]), "somebody holds it"
    lock = left.with_suffix(".lock")
    assert lock.stat().st_mode & 0o666 == 0o666, "which stays every user's"


def test_an_entry_that_is_there_is_read_without_a_lock(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_data(photos, DataConfig())
    monkeypatch.setattr(cache_module, "FileLock", None)
    assert open_data(photos, DataConfig()).report.count == 30


def _open(photos: str, cache: str, barrier: Any, results: Any) -> None:
    os.environ["WGAN_CACHE"] = cache  # the server that this process comes from may have been started with another
    barrier.wait()
    with mock.patch.object(files, "decode", wraps=files.decode) as decode:
        data = open_data(photos, DataConfig())
    results.put((decode.call_count, data.report.count, float(data.train.batch(torch.arange(5)).sum())))


@pytest.mark.parametrize("damaged", [False, True])
def test_two_builders_at_once(photos: Path, cache: Path, damaged: bool) -> None:
    expected = float(open_data(photos, DataConfig()).train.batch(torch.arange(5)).sum())
    (place,) = entries(cache)
    if damaged:
        (place / "meta.json").write_text("{")
    else:
        shutil.rmtree(place)
    context = multiprocessing.get_context("forkserver")  # which loads torch once, and not for each of the three
    context.set_forkserver_preload(["torch"])
    barrier, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_open, args=(str(photos), str(cache), barrier, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(got) == [(0, 30, expected)] * 2 + [(30, 30, expected)], "two of them wait for the first"
    assert entries(cache) == [place]


def test_objects_leave_nothing_in_the_cache(cache: Path) -> None:
    data = open_data(np.random.default_rng(0).random((30, 8, 8)), DataConfig())
    assert isinstance(data.train, Pictures)
    assert isinstance(data.train.images, np.memmap)
    assert data.train.batch(torch.arange(9)).shape == (9, 1, 8, 8)
    assert stored(cache) == []


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "Read-only")])
def test_a_full_or_locked_disk(photos: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache_module, "write_rows", fail)
    for source in (photos, np.random.default_rng(0).random((30, 8, 8))):
        with pytest.raises(WganError, match=rf"{words}.*WGAN_CACHE"):
            open_data(source, DataConfig())


@pytest.mark.parametrize("kind", ["folder", "array"])
def test_a_disk_that_cannot_be_mapped(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(np, "memmap", fail)
    source = photos if kind == "folder" else np.random.default_rng(0).random((30, 8, 8))
    with pytest.raises(WganError) as caught:
        open_data(source, DataConfig())
    message = str(caught.value)
    assert message.startswith(str(cache)) and ".part" not in message
    assert message.endswith(" cannot be read back; set $WGAN_CACHE to a folder on another disk.")
    assert stored(cache) == []


def only(free: int) -> Any:
    """A disk with so many free bytes."""
    usage = shutil.disk_usage("/")
    return lambda folder: usage._replace(free=free)


@pytest.mark.parametrize("kind", ["folder", "array"])
def test_pictures_that_do_not_fit_on_the_disk_are_refused_before_one_is_read(
    photos: Path, decoded: list[int], cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    source = photos if kind == "folder" else np.random.default_rng(0).random((30, 8, 8, 3))
    needed = 30 * 1000 * 2000 * 3
    monkeypatch.setattr(shutil, "disk_usage", only(needed - 1))
    with pytest.raises(WganError) as caught:
        open_data(source, DataConfig(size=(1000, 2000)))
    assert str(caught.value) == (
        f"30 pictures of 1000x2000x3 take 180.0 MB in the cache folder {cache}, and 180.0 MB are free there; "
        "make them smaller with --size, or set $WGAN_CACHE to a folder that has room."
    )
    assert decoded == [] and stored(cache) == []
    monkeypatch.setattr(shutil, "disk_usage", only(30 * 8 * 8 * 3))
    assert open_data(source, DataConfig()).report.count == 30


def test_files_that_are_no_pictures_need_no_room(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(50):
        (photos / f"{n}.txt").write_text("about a picture")
    monkeypatch.setattr(shutil, "disk_usage", only(30 * 8 * 8 * 3))
    assert open_data(photos, DataConfig()).report.count == 30
    monkeypatch.setattr(shutil, "disk_usage", only(2_000_000))
    with pytest.raises(WganError, match=r"^30 pictures of 300x300x3 take 8\.1 MB .*, and 2\.0 MB are free"):
        open_data(photos, DataConfig(size=(300, 300), channels=3))


def test_what_is_cached_already_needs_no_room(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_data(photos, DataConfig())
    monkeypatch.setattr(shutil, "disk_usage", only(0))
    assert open_data(photos, DataConfig()).report.count == 30


def test_a_cache_folder_that_is_a_file(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_text("")
    monkeypatch.setenv("WGAN_CACHE", str(cache / "file"))
    with pytest.raises(WganError, match="WGAN_CACHE"):
        open_data(photos, DataConfig())


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("WGAN_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("WGAN_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "wgan"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "wgan"


def test_sizes(photos: Path, cache: Path) -> None:
    assert cache_sizes() == {}
    open_data(photos, DataConfig())
    ((name, size),) = cache_sizes().items()
    assert name.endswith("(photos)")
    assert size == sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def test_other_channels_are_decoded_again(tmp_path: Path) -> None:
    for n in range(6):
        Image.new("RGB", (8, 8), (20 * n, 30 * n, 40 * n)).save(tmp_path / f"{n}.png")
    assert [open_data(tmp_path, DataConfig(channels=c)).shape for c in (3, 1, 3)] == [(3, 8, 8), (1, 8, 8), (3, 8, 8)]
