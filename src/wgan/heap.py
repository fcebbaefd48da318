"""Memory that is freed and asked for again a hundred times a step.

glibc gives large freed tensors back to the system, which then hands out the same pages again one by one, each filled
with zeros and cold: thousands a step, a tenth of the time of a step on pictures. Here it keeps them instead.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# From malloc.h of glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**26}
# glibc's own values; of the two thresholds, which it moves by itself, those that it ends at once it sees large tensors.
_USUAL = {_MMAP_MAX: 2**16, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _TOP_PAD: 2**17}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, this process keeps the memory that it frees; afterwards glibc gives back what it then frees, as usual.

    Its peak stays what it is. Where the C library is another than glibc, nothing changes.
    """
    if (mallopt := _mallopt()) is None:
        yield
        return
    _apply(mallopt, _KEEP)
    try:
        yield
    finally:
        _apply(mallopt, _USUAL)


def _mallopt() -> Callable[[int, int], int] | None:
    """glibc's, or None."""
    try:
        library = ctypes.CDLL(None)
        return library.mallopt if hasattr(library, "gnu_get_libc_version") else None
    except (OSError, TypeError):  # a system on which a process is no library
        return None


def _apply(mallopt: Callable[[int, int], int], settings: dict[int, int]) -> None:
    for name, value in settings.items():
        mallopt(name, value)
