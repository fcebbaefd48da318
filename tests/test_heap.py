"""Freed memory that stays with the process."""

import platform
import resource
import subprocess
import sys

import pytest

from wgan.heap import kept_memory

PAGES = 64 * 2**20 // resource.getpagesize()
COUNT = """
import resource, torch
from wgan.heap import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with kept_memory():
    for _ in range(50):  # until there is a gap that is large enough
        faults()
    print(sum(faults() for _ in range(10)))
print(sum(faults() for _ in range(10)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_kept_inside_only() -> None:
    said = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True).stdout
    inside, outside = map(int, said.split())
    assert inside < PAGES < outside


def test_it_is_left_also_by_an_error() -> None:
    with pytest.raises(ZeroDivisionError), kept_memory():
        raise ZeroDivisionError
    with kept_memory(), kept_memory():
        pass
