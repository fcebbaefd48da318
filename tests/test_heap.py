"""Freed memory that stays with the process."""

import platform
import resource
import subprocess
import sys

import pytest

from wgan.heap import kept_memory

PAGES = 64 * 2**20 // resource.getpagesize()
COUNT = """
import ctypes, resource
from wgan.heap import kept_memory

C = ctypes.CDLL(None)
C.malloc.restype = ctypes.c_void_p

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        place = ctypes.c_void_p(C.malloc(2**26))
        C.memset(place, 1, 2**26)
        C.free(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with kept_memory():
    print(faults())
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_kept_inside_only() -> None:
    said = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True).stdout
    inside, outside = map(int, said.split())
    assert inside < 2 * PAGES
    assert outside > 9 * PAGES


def test_it_is_left_also_by_an_error() -> None:
    with pytest.raises(ZeroDivisionError), kept_memory():
        raise ZeroDivisionError
    with kept_memory(), kept_memory():
        pass
