"""Folders and archives: classes, order, and everything a folder may hold that is no picture."""

import io
import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from test_data_images import BROKEN
from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.samples import Data, Pictures
from wgan.errors import UsageError, WganError


def picture(value: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value, 0, 255 - value)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(root: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def packed(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def images(data: Data) -> np.ndarray:
    assert isinstance(data.train, Pictures)
    return np.asarray(data.train.images)


TEN = {f"{name}/{n}.png": picture(n) for name in ("cats", "dogs") for n in range(5)}


@pytest.mark.parametrize("form", ["folder", "zip", "zip of a folder"])
def test_classes_order_and_pixels(tmp_path: Path, form: str) -> None:
    if form == "folder":
        source = fill(tmp_path / "pets", TEN)
    else:
        top = "pets/" if form == "zip of a folder" else ""
        source = packed(tmp_path / "pets.zip", {top + name: content for name, content in TEN.items()})
    data = open_data(source, DataConfig())
    assert data.name == "pets"
    assert data.shape == (3, 4, 6)
    assert data.report.classes == {"cats": 5, "dogs": 5}
    assert images(data)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4] * 2
    assert data.report.duplicates == 5
    assert data.report.sizes == {"4x6": 10}
    assert data.train.labels is not None
    assert isinstance(data.train, Pictures)
    np.testing.assert_array_equal(data.train.labels, data.train.rows // 5)
    json.dumps(data.report.to_json(), allow_nan=False)


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_classes_of_an_archive_with_a_licence_beside_its_folder(tmp_path: Path, separator: str) -> None:
    contents = {f"pets/{name}".replace("/", separator): content for name, content in TEN.items()}
    beside = {"LICENSE.txt": b"free", f"pets{separator}": b"", f"pets{separator}cats{separator}": b""}
    data = open_data(packed(tmp_path / "x.zip", contents | beside), DataConfig())
    assert data.report.classes == {"cats": 5, "dogs": 5}
    assert [name for name, _ in data.report.skipped] == ["LICENSE.txt"]


def test_no_classes_if_one_picture_lies_outside(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, TEN | {"z.png": picture(9)}), DataConfig())
    assert data.report.classes == {}
    assert data.train.labels is None


def test_a_relative_name_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    fill(tmp_path / "pets", TEN)
    assert open_data("~/pets", DataConfig()).report.count == 10


@pytest.mark.parametrize(
    ("modes", "options", "channels"),
    [
        (["L", "L"], {}, 1),
        (["L", "RGB"], {}, 3),
        (["L", "L"], {"channels": 3}, 3),
        (["RGB"], {"channels": 4}, 4),
    ],
)
def test_default_channels(tmp_path: Path, modes: list[str], options: dict[str, int], channels: int) -> None:
    fill(tmp_path, {f"{n}.png": picture(50 + n, mode=mode) for n, mode in enumerate(modes)})
    assert open_data(tmp_path, DataConfig(**options)).shape == (channels, 4, 6)  # type: ignore[arg-type]


def test_default_size_is_that_of_most(tmp_path: Path) -> None:
    sizes = [(5, 5), (8, 9), (8, 9), (8, 9), (7, 7)]
    data = open_data(fill(tmp_path, {f"{n}.png": picture(n, s) for n, s in enumerate(sizes)}), DataConfig())
    assert data.shape == (3, 9, 8) and not [note for note in data.report.notes if "--size" in note]
    assert list(data.report.sizes) == ["9x8", "5x5", "7x7"]


@pytest.mark.parametrize(
    ("sizes", "side"), [([(21, 117), (90, 80), (70, 60), (65, 66)], 64), ([(5, 9), (8, 9), (8, 9), (7, 7)], 9)]
)
def test_no_single_picture_decides_the_size_of_all(sizes: list[tuple[int, int]], side: int, tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, {f"{n}.png": picture(n, s) for n, s in enumerate(sizes)}), DataConfig())
    assert data.shape == (3, side, side)
    said = f"the pictures have {len(set(sizes))} sizes; all are brought to {side}x{side}, if no --size says otherwise."
    assert said in data.report.notes


def test_large_pictures_default_to_64(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, {f"{n}.png": picture(n, (300, 200)) for n in range(3)}), DataConfig())
    assert data.shape == (3, 64, 64)
    assert any("200x300" in note for note in data.report.notes)


def test_transparency_is_noted(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    data = open_data(tmp_path, DataConfig())
    assert data.shape == (3, 4, 4)
    assert any("transparency" in note for note in data.report.notes)
    assert (images(data) == 255).all()


def odd_folder(tmp_path: Path) -> Path:
    root = fill(tmp_path / "odd", {f"{name}.png": content for name, (content, _) in BROKEN.items()})
    fill(root, {"good/1.png": picture(1), "good/2.png": picture(2), ".hidden/x.png": b"", ".DS_Store": b""})
    fill(tmp_path, {"outside/secret.png": picture(7)})
    os.mkfifo(root / "pipe.png")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "self.png").symlink_to(root / "self.png")
    (root / "dangling.png").symlink_to(root / "nothing.png")
    (root / "out.png").symlink_to(tmp_path / "outside" / "secret.png")
    (root / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (root / "null.png").symlink_to("/dev/null")
    (root / "inside.png").symlink_to(root / "good" / "1.png")
    os.mknod(root / "socket.png", stat.S_IFSOCK | 0o600)
    return root


def test_whatever_else_a_folder_holds_is_skipped_and_named(tmp_path: Path) -> None:
    data = open_data(odd_folder(tmp_path), DataConfig())
    skipped = dict(data.report.skipped)
    assert {name: why for name, why in skipped.items() if "link" in why or "regular" in why} == {
        "pipe.png": "not a regular file",
        "socket.png": "not a regular file",
        "loop": "a link to a folder",
        "out": "a link to a folder",
        "null.png": "a link to what is no regular file",
        "dangling.png": "a link to nothing",
        "self.png": "Too many levels of symbolic links",
        "out.png": "a link out of the folder (--follow-links reads it)",
    }
    for name, (_, why) in BROKEN.items():
        assert why in skipped[f"{name}.png"]
    assert len(skipped) == len(BROKEN) + 8
    assert data.report.count == 3
    assert data.report.duplicates == 1
    assert f"skipped: {len(skipped)}" in str(data.report).splitlines()


def test_what_is_skipped_since_the_folder_was_read_is_named_too(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", {f"{n}.png": picture(n) for n in range(3)})
    assert open_data(root, DataConfig()).report.skipped == []
    (root / "dangling.png").symlink_to(root / "nothing.png")
    assert open_data(root, DataConfig()).report.skipped == [("dangling.png", "a link to nothing")]


@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_of_links_to_files_is_the_files(tmp_path: Path, absolute: bool) -> None:
    store = fill(tmp_path / "store", {f"{n:02}": picture(n) for n in range(10)})
    for n in range(10):
        link = tmp_path / "links" / ("cats", "dogs")[n // 5] / f"{n}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(store / f"{n:02}" if absolute else Path("../../store") / f"{n:02}")
    with pytest.raises(WganError, match="a link out of the folder \\(--follow-links reads it\\)"):
        open_data(tmp_path / "links", DataConfig())
    data = open_data(tmp_path / "links", DataConfig(follow_links=True))
    assert data.report.skipped == []
    assert data.report.classes == {"cats": 5, "dogs": 5}
    assert images(data)[:, 0, 0, 0].tolist() == list(range(10))


@pytest.mark.parametrize("change", ["the file", "the link"])
def test_what_a_link_leads_to_is_read_again_when_it_changes(tmp_path: Path, change: str) -> None:
    store = fill(tmp_path / "store", {"a": picture(1), "b": picture(9)})
    for name in ("a", "b"):
        os.utime(store / name, ns=(1, 1))
    link = tmp_path / "links" / "x.png"
    link.parent.mkdir()
    link.symlink_to(store / "a")
    assert (store / "a").stat().st_size == (store / "b").stat().st_size
    assert images(open_data(link.parent, DataConfig(follow_links=True)))[0, 0, 0, 0] == 1
    if change == "the link":
        link.unlink()
        link.symlink_to(store / "b")
    else:
        (store / "a").write_bytes(picture(9))
    assert images(open_data(link.parent, DataConfig(follow_links=True)))[0, 0, 0, 0] == 9


def test_what_was_written_into_a_folder_by_its_runs_is_skipped_and_named(tmp_path: Path) -> None:
    written = {f"runs/1/{name}": picture(9) for name in ("config.toml", "checkpoints/x", "reals.png", "samples/1.png")}
    data = open_data(fill(tmp_path, TEN | written | {"pets-contact-sheet.png": picture(8)}), DataConfig())
    assert data.report.skipped == [("pets-contact-sheet.png", "a contact sheet"), ("runs/1", "a run's folder")]
    assert data.report.count == 10 and data.report.classes == {"cats": 5, "dogs": 5}
    assert open_data(tmp_path / "runs" / "1" / "samples", DataConfig()).report.count == 1, "unless it is asked for"


@pytest.mark.parametrize("options", [DataConfig(), DataConfig(size=(8, 8), channels=3)])
def test_none_left(tmp_path: Path, options: DataConfig) -> None:
    with pytest.raises(WganError, match=r"no pictures"):
        open_data(tmp_path, options)
    fill(tmp_path, {"a.txt": b"hello", "b.png": b""})
    with pytest.raises(WganError, match=r"none of the 2 files.*a.txt: not a picture.*b.png: empty file"):
        open_data(tmp_path, options)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"a.png": picture(1), "b.png": picture(2), "locked/c.png": picture(3)})
    really, scan = Path.open, os.scandir

    def refuse_file(path: Path, *args: object, **options: object) -> object:
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return really(path, *args, **options)  # type: ignore[call-overload]

    def refuse_folder(path: Path) -> object:
        if Path(str(path)).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(Path, "open", refuse_file)
    monkeypatch.setattr(os, "scandir", refuse_folder)
    data = open_data(tmp_path, DataConfig())
    assert sorted(data.report.skipped) == [(n, "no permission to read it") for n in ("a.png", "locked")]


def test_hostile_archives(tmp_path: Path) -> None:
    contents = {
        "../up.png": picture(1),
        "/root.png": picture(2),
        "C:\\x.png": picture(3),
        "good.png": picture(4),
    }
    contents |= {"a/../../b.png": picture(5), "bomb.png": b"\0" * 3_000_000, "notes.txt": b"hello"}
    data = open_data(packed(tmp_path / "x.zip", contents), DataConfig())
    skipped = dict(data.report.skipped)
    assert skipped.pop("bomb.png") == "compressed suspiciously well"
    assert skipped.pop("notes.txt") == "not a picture that Pillow reads"
    assert set(skipped.values()) == {"its name leads out of the archive"}
    assert len(skipped) == 4
    assert data.report.count == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip"]


def test_runs_and_contact_sheets_in_an_archive_are_no_data(tmp_path: Path) -> None:
    own = {"pets/a.png": picture(1), "pets/config.toml/b.png": picture(2), "pets/pets-contact-sheet.png": picture(3)}
    run = {"pets/runs/1/" + name: picture(4) for name in ("reals.png", "samples/00000000.png")}
    run |= {"pets/runs/1/config.toml": b"", "pets/runs/1/checkpoints/last.safetensors": b""}
    data = open_data(packed(tmp_path / "x.zip", own | run), DataConfig())
    assert data.report.skipped == [
        ("pets/pets-contact-sheet.png", "a contact sheet"),
        ("pets/runs/1", "a run's folder"),
    ]
    assert data.report.count == 2
    packed(tmp_path / "r.zip", {name.removeprefix("pets/runs/1/"): content for name, content in run.items()})
    with pytest.raises(WganError, match=r"r\.zip: a run's folder"):
        open_data(tmp_path / "r.zip", DataConfig())


def test_a_damaged_member_and_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", picture(1))
        archive.writestr("b.png", picture(2))
    content = bytearray(path.read_bytes())
    where = content.index(picture(2)) + 40
    content[where] ^= 255
    path.write_bytes(content)
    data = open_data(path, DataConfig())
    assert [name for name, _ in data.report.skipped] == ["b.png"]
    path.write_bytes(content[:100])
    with pytest.raises(WganError, match=r"cannot be read as a \.zip"):
        open_data(path, DataConfig())


def test_a_picture_that_was_opened_but_cannot_be_decoded_is_skipped_and_named() -> None:
    opened = [Image.open(io.BytesIO(content)) for content in (picture(1), picture(2)[:-30], picture(3))]
    opened[2].close()
    data = open_data(opened, DataConfig())
    assert [name for name, _ in data.report.skipped] == ["item 1", "item 2"]
    assert all(why.startswith("broken: ") for _, why in data.report.skipped)
    assert data.report.count == 1 and (images(data) == [1, 0, 254]).all()


@pytest.mark.parametrize(
    ("source", "message"),
    [("digts", "Did you mean 'digits'"), ("no/where", "no file or folder"), ("x.npy", "no file or folder")],
)
def test_nothing_of_that_name(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(source, DataConfig())


def test_a_file_of_no_known_kind(tmp_path: Path) -> None:
    fill(tmp_path, {"a.png": picture(1)})
    with pytest.raises(UsageError, match=r"\.zip, \.npy, \.npz"):
        open_data(tmp_path / "a.png", DataConfig())


@pytest.mark.parametrize(
    ("options", "words"), [({"size": (0, 4)}, "--size: 0 is too small"), ({"channels": 2}, "--channels: .*1, 3, 4")]
)
def test_impossible_shapes(tmp_path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_data(fill(tmp_path, TEN), DataConfig(**options))  # type: ignore[arg-type]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    open_data(fill(tmp_path, TEN), DataConfig(), progress=lambda *what: told.append(what))
    assert told == [("looking at pictures", 10, 10), ("reading pictures", 10, 10)]


def test_a_batch_is_the_pictures(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, TEN), DataConfig())
    x = data.train.batch(torch.arange(3))
    assert isinstance(data.train, Pictures)
    expected = images(data)[data.train.rows[:3]].astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-6)
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    fill(Path(folder), {"1.png": picture(1), "2.png": picture(2), "bad.png": b""})
    data = open_data(tmp_path, DataConfig())
    assert list(data.report.classes) == ["caf\\udce9"]
    str(data.report).encode()


ODD_NAMES = {
    "\x1b[2Jx": r"\x1b[2Jx",
    "a\nb\r\tc": r"a\nb\r\tc",
    "\u202egnp.x": r"\u202egnp.x",
    "\x9b2J\u2028": r"\x9b2J\u2028",
    "caf\u00e9 \u65e5\u672c \U0001f600": "caf\u00e9 \u65e5\u672c \U0001f600",
}


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_cannot_command_the_terminal(tmp_path: Path, name: str, form: str) -> None:
    contents = {f"{name}/1.png": picture(1), f"z/{name}.png": b"", "z/2.png": picture(2)}
    root = fill(tmp_path / "x", contents) if form == "folder" else packed(tmp_path / "x.zip", contents)
    report = open_data(root, DataConfig()).report
    assert report.skipped == [(f"z/{ODD_NAMES[name]}.png", "empty file")]
    assert sorted(report.classes) == sorted([ODD_NAMES[name], "z"])
    assert all(line.isprintable() for line in str(report).splitlines())
