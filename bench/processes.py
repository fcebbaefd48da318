"""`wgan` as a process of its own, watched from outside."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

WGAN = (sys.executable, "-m", "wgan")
_POLL = 0.01


class Watched(NamedTuple):
    """What a process took.

    Attributes:
        seconds: From its start to its end.
        first: From its start until the thing that was waited for was there; None if it never was.
        peak: The largest RssAnon, memory that is its own and no file's, in bytes.
    """

    seconds: float
    first: float | None
    peak: int


def watch(
    arguments: Sequence[str], *, awaited: Callable[[], bool] | None = None, threads: int | None = None
) -> Watched:
    """Run `wgan` to its end.

    Raises:
        RuntimeError: It failed; the message is what it said.
    """
    environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    began, first, peak = time.perf_counter(), None, 0
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen([*WGAN, *arguments], stdout=said, stderr=said, env=environment) as process,
    ):
        try:
            while process.poll() is None:
                peak = max(peak, rss_anon(process.pid))
                if first is None and awaited is not None and awaited():
                    first = time.perf_counter() - began
                time.sleep(_POLL)
            seconds = time.perf_counter() - began
        finally:
            process.kill()  # else, after Ctrl-C, it writes on in folders that are being removed
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"wgan {' '.join(arguments)}: {said.read().decode(errors='replace').strip()}")
    return Watched(seconds, first, peak)


def rss_anon(pid: int) -> int:
    """RssAnon of a process in bytes, 0 when it has gone."""
    try:
        found = re.search(r"^RssAnon:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0


def megabytes(size: float) -> str:
    """As people write it."""
    return f"{size / 1e6:,.0f} MB"
