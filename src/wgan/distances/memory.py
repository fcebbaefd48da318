"""Refuse what cannot fit into memory before the machine starts to swap."""

import math
import os
from pathlib import Path

from rich.filesize import decimal

from wgan.errors import WganError

_LIMITS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Of containers: a folder, the files in it with the limit and the use, and what of the use is read from files."""


def free_memory() -> int | None:
    """Bytes that this process may still take, containers' limits included; None where the system does not tell.

    A container's use counts files that were read and that the system lets go of first: they are free.
    """
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for folder, limit, used, cached in _LIMITS:
        try:
            taken = int((Path(folder) / used).read_text()) - _counted(Path(folder) / "memory.stat", cached)
            found.append(int((Path(folder) / limit).read_text()) - max(0, taken))
        except (OSError, ValueError):  # no container, or one without a limit
            continue
    return max(0, min(found)) if found else None


def _counted(file: Path, name: str) -> int:
    """The bytes after a name in a file of names and numbers; 0 where there are none."""
    if not file.is_file():
        return 0
    pairs = (line.split() for line in file.read_text().splitlines())
    return next((int(pair[1]) for pair in pairs if pair[0] == name), 0)


def demand_pairs(n: int, m: int, bytes_each: float, what: str) -> None:
    """Make sure that there is memory for every pair of samples.

    Args:
        n: Samples on one side.
        m: Samples on the other.
        bytes_each: What a pair takes, in bytes.
        what: What is going to be done, for the message.

    Raises:
        WganError: There is not; the message says how many samples would fit.
    """
    free, needed = free_memory(), math.ceil(n * m * bytes_each)
    if free is not None and needed > free:
        raise WganError(
            f"{what} of {n:,} and {m:,} samples needs {decimal(needed)} for the matrix of their distances, "
            f"and {decimal(free)} are free; take at most --samples {round_down((free / bytes_each) ** 0.5):,}, "
            "or another method, such as --method sliced."
        )


def demand_samples(numbers: int) -> None:
    """Make sure that there is memory for so many float64 numbers and a copy of them.

    Raises:
        WganError: There is not.
    """
    free, needed = free_memory(), numbers * 16
    if free is not None and needed > free:
        raise WganError(
            f"the samples need {decimal(needed)} of memory, and {decimal(free)} are free; "
            "take fewer with --samples, or smaller pictures with --size."
        )


def round_down(number: float) -> int:
    """A whole number with at most two digits that are not 0."""
    whole = int(number)
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // unit * unit
