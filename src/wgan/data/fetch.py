"""Finding a named data set's files on this machine, or downloading them when asked to."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wgan.config import DataConfig
from wgan.data.cache import alone, cache_folder, writable
from wgan.data.progress import Progress
from wgan.errors import WganError
from wgan.files import at_home

BLOCK = 2**18
ATTEMPTS = 3
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Remote:
    """Where a named data set's files are.

    Attributes:
        name: The data set's name.
        bases: URLs of folders that have all files, best first.
        files: File -> MD5 of what is downloaded. It guards against damage, and is what the publishers give.
        variants: Other sets of files that are as good when found on this machine.
    """

    name: str
    bases: Sequence[str]
    files: Mapping[str, str]
    variants: Sequence[Sequence[str]] = ()


def find(remote: Remote, options: DataConfig, progress: Progress) -> list[Path]:
    """The paths of the files (or of one variant), found on this machine or downloaded.

    Raises:
        WganError: They are nowhere and may not, or could not, be downloaded.
    """
    places = _places(remote.name, options)
    for place in places:
        for names in (tuple(remote.files), *remote.variants):
            paths = [place / name for name in names]
            if all(_is_file(path) for path in paths):
                return paths
    downloads = _downloads(remote.name)
    if not options.download:
        raise WganError(
            f"{remote.name} is not on this machine: put {', '.join(remote.files)} (from {remote.bases[0]}) "
            f"into one of {', '.join(map(str, places))}, name their folder with --data-dir, "
            "or let --download get them."
        )
    with writable(downloads):
        for name, md5 in remote.files.items():
            fetch([base + name for base in remote.bases], downloads / name, md5, progress)
    return [downloads / name for name in remote.files]


def fetch(urls: Sequence[str], path: Path, md5: str, progress: Progress) -> None:
    """Download a file unless it is there; go on where an earlier attempt was cut off; keep it if it is right.

    Of several processes that want it, one downloads and the others wait.

    Raises:
        WganError: No URL gave the file with this checksum.
    """
    if path.exists():
        return
    with alone(path.with_name(path.name + ".lock"), progress):
        if not path.exists():
            _fetch(urls, path, md5, progress)


def _fetch(urls: Sequence[str], path: Path, md5: str, progress: Progress) -> None:
    part = path.with_name(path.name + ".part")
    if part.exists() and _md5(part) == md5:  # whoever wrote it was stopped just before this look
        part.replace(path)
        return
    failures = []
    for url in urls:
        for _ in range(ATTEMPTS):
            fresh = not part.exists()
            try:
                _transfer(url, part, progress)
            except _FAILURES as error:
                failures.append(f"{url}: {error}")
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                    break
                continue
            if (found := _md5(part)) == md5:
                part.replace(path)
                return
            part.unlink()
            failures.append(f"{url}: MD5 {found} instead of {md5}, so it was thrown away")
            if fresh:  # and not put together with what came earlier, or from elsewhere
                break
    why = "; ".join(dict.fromkeys(failures))
    raise WganError(
        f"{path.name} could not be downloaded ({why}); run it again to go on from where it stopped, "
        f"or put the file into {path.parent}."
    )


class _CutOff(Exception):  # noqa: N818
    """The connection ended before the file did."""


_FAILURES = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, _CutOff)


def _transfer(url: str, part: Path, progress: Progress) -> None:
    """Append what is missing to ``part``; start over where the server cannot go on."""
    have = part.stat().st_size if part.exists() else 0
    with _request(url, have) as response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT and have > 0
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else 0
        with part.open("ab" if resumed else "wb") as file:
            for block in _blocks(response):
                file.write(block)
                done += len(block)
                progress(f"downloading {part.stem}", done, max(done, total))
    if done < total:
        raise _CutOff(f"cut off after {done:,} of {total:,} bytes")


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK):
            yield block
    except OSError as error:  # of any kind: it is the connection's, and not the disk's
        raise _CutOff(str(error)) from error


@contextmanager
def _request(url: str, have: int) -> Iterator[http.client.HTTPResponse]:
    ask = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(ask, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # The part is as long as the file, or longer, and wrong, or it would have been kept: all of it is asked for.
        error.close()
        response = urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS)
    with response:
        yield response


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _places(name: str, options: DataConfig) -> list[Path]:
    own = [at_home(options.data_dir)] if options.data_dir else []
    inside = [place / name for place in own]
    return [*own, *inside, _downloads(name), Path("/usr/share/datasets") / name, at_home("~/data") / name]


def _downloads(name: str) -> Path:
    return cache_folder() / "downloads" / name


def _is_file(path: Path) -> bool:
    """Whether it is a file that can be read; a locked folder is no error here."""
    return os.access(path, os.R_OK) and path.is_file()
