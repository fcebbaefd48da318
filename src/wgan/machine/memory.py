"""Memory that is freed and asked for again a hundred times a step, and memory that there is not enough of.

glibc gives large freed tensors back to the system, which then hands out the same pages again one by one, each filled
with zeros and cold: ten thousand a step of the preset `default`, a seventh of its time. Here it keeps them instead.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wgan.errors import WganError
from wgan.words import is_out_of_memory

# From malloc.h of glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: 2**26}  # no block from the system, and none given back
# glibc's own values, but for the two thresholds, which it raises by itself to what it has seen freed: to the most here.
_USUAL = {_MMAP_MAX: 2**16, _MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _TOP_PAD: 2**17}


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, this process keeps the memory that it frees; at the end it gives back what it can.

    Tensors of the same sizes in every step find their places again, and the peak hardly changes; tensors that grow from
    step to step do not fit into the gaps, and it rises. It is for the whole process: leaving an inner one ends an
    outer one too. Where the C library is another than glibc, nothing changes.
    """
    if (library := _glibc()) is None:
        yield
        return
    _apply(library, _KEEP)
    try:
        yield
    finally:
        _apply(library, _USUAL)
        library.malloc_trim(0)


def _glibc() -> Any:
    """The C library of this process, or None if it is another."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # a system on which a process is no library
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None


def _apply(library: Any, settings: dict[int, int]) -> None:
    for name, value in settings.items():
        library.mallopt(name, value)


@contextmanager
def enough_memory(otherwise: str) -> Iterator[None]:
    """Turn a lack of memory into an error in words.

    Args:
        otherwise: What cannot be done then, and what takes less.

    Raises:
        WganError: There is not enough; this is what it says.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise WganError(otherwise) from error
