"""Freed memory that stays with the process."""

import platform
import resource
import subprocess
import sys
from unittest.mock import Mock, call

import pytest

from wgan.machine import memory
from wgan.machine.memory import kept_memory

PAGES = 64 * 2**20 // resource.getpagesize()
COUNT = """
import ctypes, resource
from wgan.machine.memory import kept_memory

C = ctypes.CDLL(None)
C.malloc.restype = ctypes.c_void_p

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        places = [ctypes.c_void_p(C.malloc(2**26)) for _ in range(40)]  # more than 2 GiB, beyond an int
        C.memset(places[0], 1, 2**26)
        for place in places:
            C.free(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with kept_memory():
    print(faults())
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_kept_inside_only() -> None:
    said = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True).stdout
    inside, outside = map(int, said.split())
    assert inside < 2 * PAGES
    assert outside > 9 * PAGES


def test_it_is_left_also_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(memory, "_glibc", lambda: library)
    with pytest.raises(ZeroDivisionError), kept_memory():
        assert library.mallopt.call_args_list == [call(*each) for each in memory._KEEP.items()]
        library.reset_mock()
        raise ZeroDivisionError
    assert library.mock_calls == [*(call.mallopt(*each) for each in memory._USUAL.items()), call.malloc_trim(0)]


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with kept_memory():
        pass
