"""Files that cannot be written: the name that was wanted, why, and what helps."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from wgan.cli import main
from wgan.errors import WganError
from wgan.files import write_atomically, write_text


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
