"""Files that cannot be written: the name that was wanted, why, and what helps."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from wgan.cli import main
from wgan.errors import WganError
from wgan.files import fill, is_free, write_atomically, write_text


def refuse(path: Path, *args: Any, **options: Any) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that can only be read: it refuses to remove, too, whether there is anything or not."""
    for what in ("touch", "unlink"):
        monkeypatch.setattr(Path, what, refuse)


@pytest.mark.usefixtures("locked")
def test_a_locked_disk_is_said_of_the_file_that_was_wanted() -> None:
    with pytest.raises(WganError) as caught:
        write_text(Path("x.txt"), "")
    assert str(caught.value) == "x.txt cannot be written (Read-only file system); choose another place."
    assert isinstance(caught.value, OSError)
    assert (caught.value.errno, caught.value.filename) == (errno.EROFS, "x.txt")


@pytest.mark.usefixtures("locked")
def test_a_contact_sheet_in_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    with pytest.raises(SystemExit, match="1"):
        main(["data", "digits", "-o", str(sheet)])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"wgan: {sheet} cannot be written (Read-only file system); choose another place."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_full_disk_asks_for_room_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(
        WganError, match=r"x\.txt cannot be written \(No .*\); make room there, or choose another place\.$"
    ):
        write_atomically(tmp_path / "x.txt", lambda _: Path("/dev/full").write_text("x"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_made_if_that_is_meant(tmp_path: Path) -> None:
    with pytest.raises(WganError, match=r"no/x\.txt cannot be written \(No such file or directory\)"):
        write_text(tmp_path / "no" / "x.txt", "")
    write_atomically(tmp_path / "new" / "x.txt", lambda path: path.write_text("text"), parents=True)
    assert (tmp_path / "new" / "x.txt").read_text() == "text"


def test_a_file_where_a_folder_would_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WganError, match=r"x\.txt cannot be written \(a file is where its folder would be\)"):
        write_text(tmp_path / "file" / "x.txt", "")


def three(folder: Path) -> None:
    for name in "abc":
        (folder / name).write_text(name)


def test_a_folder_is_filled_at_once_and_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "there" / ".left.part" / "a").mkdir(parents=True)  # by a process that was killed
    (tmp_path / "link").symlink_to("there")
    before = (tmp_path / "there").stat().st_ino

    def write(folder: Path) -> None:
        three(folder)
        assert all(path.name.startswith(".") for path in (tmp_path / "there").iterdir())

    assert is_free(tmp_path / "link")
    fill(tmp_path / "link", write)
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["a", "b", "c"]
    assert (tmp_path / "link").is_symlink() and (tmp_path / "there").stat().st_ino == before
    assert not is_free(tmp_path / "link") and is_free(tmp_path / "new")
    fill(tmp_path / "new" / "deep", three)
    assert (tmp_path / "new" / "deep" / "b").read_text() == "b"


@pytest.mark.parametrize("when", ["writing", "moving"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_that_was_not_filled_is_as_before(
    is_new: bool, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = tmp_path / "out", Path.rename
    if not is_new:
        out.mkdir()

    def stop(path: Path, to: Path) -> Path:
        moved = rename(path, to)
        if to.parent == out and len([path for path in out.iterdir() if path.name in "abc"]) == 2:
            raise KeyboardInterrupt
        return moved

    def write(folder: Path) -> None:
        three(folder)
        if when == "writing":
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        fill(out, write)
    assert out.exists() is not is_new and list(tmp_path.rglob("*")) == ([] if is_new else [out])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_a_folder_on_a_full_disk_asks_for_room_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(
        WganError, match=r"/out cannot be written \(No .*\); make room there, or choose another place\.$"
    ):
        fill(tmp_path / "out", lambda folder: (three(folder), Path("/dev/full").write_text("x")))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(WganError, match=rf"{out} cannot be written \(a file is where its folder would be\)"):
            fill(out, three)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(WganError, match=r"/out cannot be written \(Read-only file system\); choose another place\.$"):
        fill(tmp_path / "out", three)
