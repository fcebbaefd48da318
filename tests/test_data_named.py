"""Named data sets: their files' formats, where they are looked for, and the download."""

import gzip
import io
import json
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data import named, open_data
from wgan.data.official import CIFAR_FILES
from wgan.data.samples import Data, Pictures
from wgan.errors import UsageError, WganError
from wgan.registry import DATASETS

RNG = np.random.default_rng(0)
TRAIN, TEST = RNG.integers(0, 256, (40, 28, 28), np.uint8), RNG.integers(0, 256, (12, 28, 28), np.uint8)
CIFAR = RNG.integers(0, 256, (6, 10, 32, 32, 3), np.uint8)


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def idx_files() -> dict[str, bytes]:
    labels = [np.arange(len(part), dtype=np.uint8) % 10 for part in (TRAIN, TEST)]
    arrays = (TRAIN, labels[0], TEST, labels[1])
    return {name: idx(array) for name, array in zip(named.IDX_FILES, arrays, strict=True)}


def cifar_files() -> dict[str, bytes]:
    labels = np.arange(10, dtype=np.uint8)[:, None]
    batches = [np.concatenate([labels, part.transpose(0, 3, 1, 2).reshape(10, -1)], axis=1) for part in CIFAR]
    return {name: batch.tobytes() for name, batch in zip(CIFAR_FILES, batches, strict=True)}


def put(folder: Path, files: dict[str, bytes], zipped: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


def tar(path: Path, files: dict[str, bytes], prefix: str = "cifar-10-batches-bin/") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def parts(data: Data) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    assert isinstance(data.train, Pictures)
    assert isinstance(data.held_out, Pictures)
    return data.train.images[data.train.rows], data.held_out.images[data.held_out.rows]


@pytest.mark.parametrize("name", DATASETS)
def test_every_registered_set_opens(name: str, tmp_path: Path) -> None:
    put(tmp_path / "mnist", idx_files())
    put(tmp_path / "fashion-mnist", idx_files(), zipped=True)
    put(tmp_path / "cifar10", cifar_files())
    data = open_data(name, DataConfig(data_dir=str(tmp_path)))
    assert data.name == name
    assert data.report.shape == data.shape == data.train.shape == data.held_out.shape
    assert str(data.report)
    json.dumps(data.report.to_json(), allow_nan=False)


def test_what_is_here_under_a_known_name_is_told_how_to_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not open_data("ring").report.notes
    (tmp_path / "ring").mkdir()
    assert "what is here under that name is ./ring." in open_data("ring").report.notes[-1]


def test_the_digits_that_ship() -> None:
    data = open_data("digits", DataConfig())
    assert data.shape == (1, 28, 28)
    assert (data.train.size, data.held_out.size, data.report.duplicates) == (9000, 1000, 0)
    assert list(data.report.classes.values()) == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    train, held = parts(data)
    assert abs(train.mean() - 33.3) < 1  # MNIST's mean is 0.1307 of 255
    assert abs(held.mean() - 33.3) < 2


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", ["", "mnist"])
def test_idx_pairs_keep_the_official_split(tmp_path: Path, zipped: bool, below: str) -> None:
    put(tmp_path / below, idx_files(), zipped)
    data = open_data("mnist", DataConfig(data_dir=str(tmp_path)))
    train, test = parts(data)
    np.testing.assert_array_equal(train[..., 0], TRAIN)
    np.testing.assert_array_equal(test[..., 0], TEST)
    assert data.train.labels is not None
    np.testing.assert_array_equal(data.train.labels, np.arange(40) % 10)
    assert (data.report.count, data.report.held_out) == (52, 12)
    some = open_data("mnist", DataConfig(data_dir=str(tmp_path), held_out=5))
    assert (some.train.size, some.held_out.size, some.report.count) == (40, 5, 45)


def test_named_sets_are_resized_too(tmp_path: Path) -> None:
    put(tmp_path, idx_files())
    data = open_data("mnist", DataConfig(data_dir=str(tmp_path), size=(32, 32), channels=3, fit="pad"))
    assert data.shape == (3, 32, 32)
    np.testing.assert_array_equal(parts(data)[0][:, 2:30, 2:30, 1], TRAIN)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "short": lambda content: content[:-5],
    "long": lambda content: content + b"?",
    "header": lambda content: content[:7],
    "magic": lambda content: b"\1" + content[1:],
    "type": lambda content: content[:2] + b"\x0d" + content[3:],
    "axes": lambda content: content[:3] + b"\2" + content[4:],
    "count": lambda content: content[:4] + b"\xff" + content[5:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_idx(tmp_path: Path, damage: str) -> None:
    files = idx_files()
    files[named.IDX_FILES[0]] = DAMAGE[damage](files[named.IDX_FILES[0]])
    put(tmp_path, files)
    with pytest.raises(WganError, match=r"train-images-idx3-ubyte .*get the (official )?file"):
        open_data("mnist", DataConfig(data_dir=str(tmp_path)))


@pytest.mark.parametrize("damage", ["cut", "no gzip", "flipped"])
def test_damaged_gzip(tmp_path: Path, damage: str) -> None:
    path = put(tmp_path, idx_files(), zipped=True) / f"{named.IDX_FILES[0]}.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes({"cut": path.read_bytes()[:-100], "no gzip": b"<html>", "flipped": bytes(content)}[damage])
    with pytest.raises(WganError, match="damaged"):
        open_data("mnist", DataConfig(data_dir=str(tmp_path)))


def test_labels_that_do_not_match(tmp_path: Path) -> None:
    files = idx_files()
    put(tmp_path, files | {named.IDX_FILES[1]: idx(np.zeros(39, np.uint8))})
    with pytest.raises(WganError, match=r"40 pictures but .* 39 labels"):
        open_data("mnist", DataConfig(data_dir=str(tmp_path)))
    put(tmp_path, files | {named.IDX_FILES[1]: idx(np.full(40, 10, np.uint8))})
    with pytest.raises(WganError, match="label 10"):
        open_data("mnist", DataConfig(data_dir=str(tmp_path)))


@pytest.mark.parametrize("form", ["archive", "files", "folder"])
def test_cifar10(tmp_path: Path, form: str) -> None:
    if form == "archive":
        tar(tmp_path / "cifar-10-binary.tar.gz", cifar_files())
    else:
        put(tmp_path / ("cifar-10-batches-bin" if form == "folder" else ""), cifar_files())
    data = open_data("cifar10", DataConfig(data_dir=str(tmp_path)))
    train, test = parts(data)
    np.testing.assert_array_equal(train, CIFAR[:5].reshape(-1, 32, 32, 3))
    np.testing.assert_array_equal(test, CIFAR[5])
    assert list(data.report.classes)[3] == "cat"


def test_hostile_and_damaged_archives(tmp_path: Path) -> None:
    path, options = tmp_path / "cifar-10-binary.tar.gz", DataConfig(data_dir=str(tmp_path))
    tar(path, cifar_files(), prefix="../cifar-10-batches-bin/")
    with pytest.raises(WganError, match=r"lacks data_batch_1\.bin"):
        open_data("cifar10", options)
    with tarfile.open(path, "w:gz") as archive:
        for name in CIFAR_FILES:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    with pytest.raises(WganError, match="lacks"):
        open_data("cifar10", options)
    tar(path, cifar_files() | {"test_batch.bin": b"12345"})
    with pytest.raises(WganError, match=r"test_batch\.bin .* not a multiple of 3,073"):
        open_data("cifar10", options)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WganError, match="damaged"):
        open_data("cifar10", options)


def test_what_is_nowhere_says_where_it_may_be_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(WganError, match=r"cifar-10-binary\.tar\.gz .*cs\.toronto\.edu.*--data-dir.*--download"):
        open_data("cifar10", DataConfig())


def test_a_value_range_does_not_suit_bytes() -> None:
    with pytest.raises(UsageError, match="--value-range: the pictures of digits are bytes"):
        open_data("digits", DataConfig(value_range=(0, 1)))
