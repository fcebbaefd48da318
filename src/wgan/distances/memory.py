"""Refuse what cannot fit into memory before the machine starts to swap."""

import os
from pathlib import Path

from wgan.errors import WganError

_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int | None:
    """Bytes that this process may still take, containers' limits included; None where the system does not tell."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit, used in _LIMITS:
        try:
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no container, or one without a limit
            continue
    return max(0, min(found)) if found else None


def demand_pairs(n: int, m: int, bytes_each: int, what: str) -> None:
    """Make sure that there is memory for every pair of samples.

    Args:
        n: Samples on one side.
        m: Samples on the other.
        bytes_each: What a pair takes, in bytes.
        what: What is going to be done, for the message.

    Raises:
        WganError: There is not; the message says how many samples would fit.
    """
    free, needed = free_memory(), n * m * bytes_each
    if free is not None and needed > free:
        raise WganError(
            f"{what} of {n:,} and {m:,} samples needs {needed / 1e9:,.1f} GB for the matrix of their distances, "
            f"and {free / 1e9:,.1f} GB are free; take at most --samples {round_down((free / bytes_each) ** 0.5):,}, "
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
            f"the samples need {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free; "
            "take fewer with --samples, or smaller pictures with --size."
        )


def round_down(number: float) -> int:
    """A whole number with at most two digits that are not 0."""
    whole = int(number)
    unit: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // unit * unit
