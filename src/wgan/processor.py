"""What this machine's processor is, how many cores this process may use, and what they can do."""

import os
import platform
from functools import cache
from typing import Any

import torch


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
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def usual_threads() -> int:
    """How many threads a process may take: as many as cores, or as OMP_NUM_THREADS says if that is fewer."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(limit)) if limit.isdecimal() and int(limit) else cores()


def multiplies_tiles() -> bool:
    """Whether it multiplies matrices of bfloat16 in tiles (AMX), many times as fast as with vectors."""
    return bool(features().get("amx_bf16"))


def has_short_vectors() -> bool:
    """Whether torch computes with the vectors of AVX2 here, of 8 numbers, and with none that are longer."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"
