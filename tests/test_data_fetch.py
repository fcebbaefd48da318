"""Downloads, against a server on this machine: resumed, verified, and only when asked to."""

import hashlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_data_named import cifar_files, tar
from wgan.config import DataConfig
from wgan.data import fetch, named, open_data
from wgan.errors import WganError

PORTAL = b"<html>Log in to our network first</html>"


class Server(ThreadingHTTPServer):
    """Serves one body, and a page that is not it; may cut off the first answers, or ignore ranges."""

    body = b""
    ranges = True
    cuts = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if self.path not in ("/good.bin", "/portal.bin"):
            self.send_error(404)
            return
        body = server.body if self.path == "/good.bin" else PORTAL
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start and start >= len(body):
            self.send_error(416)
            return
        rest = body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut, server.cuts = server.cuts > 0, server.cuts - 1
        self.wfile.write(rest[: len(rest) // 2] if cut else rest)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        running.body = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def download(server: Server, path: Path, file: str = "good.bin", md5: str | None = None) -> list[tuple[str, int, int]]:
    told: list[tuple[str, int, int]] = []
    right = hashlib.md5(server.body).hexdigest()
    base = f"http://127.0.0.1:{server.server_port}/"
    fetch.fetch([base + file], path, md5 or right, lambda *what: told.append(what))
    return told


def test_download(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "good.bin"
    told = download(server, path)
    assert path.read_bytes() == server.body
    assert told[-1] == ("downloading good.bin", 300_000, 300_000)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["good.bin", "good.bin.lock"]
    download(server, path)
    assert server.asked == [None], "what is there is not downloaded again"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_off_download_goes_on(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.cuts, server.ranges = 2, ranges
    download(server, tmp_path / "good.bin")
    assert (tmp_path / "good.bin").read_bytes() == server.body
    assert server.asked == [None, "bytes=150000-", "bytes=225000-" if ranges else "bytes=150000-"]


def test_after_failing_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.cuts = 3
    with pytest.raises(WganError, match=r"cut off after .*run it again"):
        download(server, tmp_path / "good.bin")
    assert (tmp_path / "good.bin.part").stat().st_size == 262_500
    download(server, tmp_path / "good.bin")
    assert server.asked[-1] == "bytes=262500-"
    assert (tmp_path / "good.bin").read_bytes() == server.body


@pytest.mark.parametrize(("more", "asked"), [(b"", []), (b"more", ["bytes=300004-", None])])
def test_a_part_that_is_whole_or_too_long_already(
    server: Server, tmp_path: Path, more: bytes, asked: list[Any]
) -> None:
    (tmp_path / "good.bin.part").write_bytes(server.body + more)
    download(server, tmp_path / "good.bin")
    assert (tmp_path / "good.bin").read_bytes() == server.body
    assert server.asked == asked, "what is whole is not asked for"
    assert not (tmp_path / "good.bin.part").exists()


def test_a_wrong_checksum_is_thrown_away(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WganError, match="MD5"):
        download(server, tmp_path / "good.bin", md5="0" * 32)
    assert [file.name for file in tmp_path.iterdir()] == ["good.bin.lock"]
    assert server.asked == [None], "it would be wrong again"


def test_what_is_wrong_at_one_address_is_asked_for_at_the_next(server: Server, tmp_path: Path) -> None:
    base, right = f"http://127.0.0.1:{server.server_port}/", hashlib.md5(server.body).hexdigest()
    fetch.fetch([f"{base}portal.bin", f"{base}good.bin"], tmp_path / "good.bin", right, lambda *what: None)
    assert (tmp_path / "good.bin").read_bytes() == server.body and server.asked == [None, None]
    with pytest.raises(WganError) as caught:
        fetch.fetch([f"{base}portal.bin", f"{base}none.bin"], tmp_path / "x.bin", right, lambda *what: None)
    wrong = f"{base}portal.bin: MD5 {hashlib.md5(PORTAL).hexdigest()} instead of {right}, so it was thrown away"
    assert f"x.bin could not be downloaded ({wrong}; {base}none.bin: HTTP Error 404: Not Found); " in str(caught.value)


def test_what_began_elsewhere_and_is_wrong_is_asked_for_afresh(server: Server, tmp_path: Path) -> None:
    (tmp_path / "good.bin.part").write_bytes(PORTAL[:9])
    download(server, tmp_path / "good.bin")
    assert (tmp_path / "good.bin").read_bytes() == server.body
    assert server.asked == ["bytes=9-", None]


def test_of_two_at_once_one_waits_and_downloads_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, really = tmp_path / "good.bin", fetch._transfer
    others: list[threading.Thread] = []
    told: list[tuple[str, int, int]] = []

    def slowly(*what: Any) -> None:
        others.append(threading.Thread(target=lambda: told.extend(download(server, path))))
        others[0].start()
        others[0].join(0.2)
        assert others[0].is_alive(), "it waits"
        really(*what)

    monkeypatch.setattr(fetch, "_transfer", slowly)
    download(server, path)
    others[0].join()
    assert path.read_bytes() == server.body and server.asked == [None]
    assert told == [("waiting for another process that prepares the same data", 0, 1)]


def test_any_error_of_the_connection_is_its_own(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(response: Any, size: int) -> bytes:
        raise ssl.SSLError(1, "decryption failed")

    with monkeypatch.context() as broken, pytest.raises(WganError, match=r"could not be downloaded.*decryption failed"):
        broken.setattr(http.client.HTTPResponse, "read", fail)
        download(server, tmp_path / "good.bin")
    assert len(server.asked) == fetch.ATTEMPTS


def test_the_next_address_is_tried_and_failures_are_named(server: Server, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{server.server_port}/"
    right = hashlib.md5(server.body).hexdigest()
    fetch.fetch([f"{base}bad.bin", f"{base}good.bin"], tmp_path / "good.bin", right, lambda *what: None)
    assert (tmp_path / "good.bin").exists()
    with pytest.raises(WganError, match=r"bad\.bin: HTTP Error 404"):
        download(server, tmp_path / "other.bin", file="bad.bin")


def test_download_only_when_asked_to(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    server.body = tar(tmp_path / "x.tar.gz", cifar_files()).read_bytes()
    base = f"http://127.0.0.1:{server.server_port}/"
    remote = fetch.Remote("cifar10", (base,), {"good.bin": hashlib.md5(server.body).hexdigest()})
    monkeypatch.setattr(named, "CIFAR10", remote)
    with pytest.raises(WganError, match="--download"):
        open_data("cifar10", DataConfig())
    assert server.asked == []
    assert open_data("cifar10", DataConfig(download=True)).report.count == 60
    assert open_data("cifar10", DataConfig()).report.count == 60
    assert len(server.asked) == 1
