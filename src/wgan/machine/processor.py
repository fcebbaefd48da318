"""What this machine's processor is, how many cores this process may use, and what they can do."""

import os
import platform
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import torch

_QUOTAS = (
    ("/sys/fs/cgroup/cpu.max",),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)
"""Of containers: the files with the time that all cores together may give in a period, and with the period."""


@cache
def features() -> dict[str, Any]:
    """What the processor can do, as torch tells it."""
    if tell := getattr(torch.cpu, "get_capabilities", None):
        return dict(tell())
    asked = {"avx512_bf16": "_is_avx512_bf16_supported", "amx_bf16": "_is_amx_tile_supported"}  # torch 2.10
    return {feature: bool(getattr(torch.cpu, question, bool)()) for feature, question in asked.items()}


def name() -> str:
    """The processor's name, as the machine tells it."""
    return str(features().get("cpu_name") or platform.processor() or platform.machine())


def cores() -> int:
    """How many cores this process may use, a container's share of their time included."""
    affinity = getattr(os, "sched_getaffinity", None)
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(there, _quota() or there)


def _quota() -> int | None:
    """As many cores, rounded up, as a container may keep busy; None without such a limit."""
    for files in _QUOTAS:
        try:
            quota, period = " ".join(Path(file).read_text() for file in files).split()
            return ceil(int(quota) / int(period)) if int(quota) > 0 else None
        except (OSError, ValueError):  # no container, or one without a limit, which says "max"
            continue
    return None


def usual_threads() -> int:
    """How many threads a process may take: as many as cores, or as OMP_NUM_THREADS says if that is fewer."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(limit)) if limit.isdecimal() and int(limit) else cores()


def set_threads(threads: int | None, processes: int = 1) -> int:
    """Use this many processor threads, by default this process's part of the cores it may use; gives the number.

    A lone process also heeds OMP_NUM_THREADS; for several, torch's launcher sets it to 1 in any case.
    """
    number = threads or (usual_threads() if processes == 1 else max(1, cores() // processes))
    if torch.get_num_threads() != number:
        torch.set_num_threads(number)
    return number


def multiplies_tiles() -> bool:
    """Whether it multiplies matrices of bfloat16 in tiles (AMX), many times as fast as with vectors."""
    return bool(features().get("amx_bf16"))


def has_short_vectors() -> bool:
    """Whether torch computes with the vectors of AVX2 here, of 8 numbers, and with none that are longer."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"
