"""What this machine's processor is, how many cores this process may use, and what they can do."""

import os
import platform
from functools import cache
from typing import Any

import torch


@cache
def features() -> dict[str, Any]:
    """What the processor can do, as torch tells it; empty where it does not."""
    found: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return found


def name() -> str:
    """The processor's name, as the machine tells it."""
    return str(features().get("cpu_name") or platform.processor() or platform.machine())


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def multiplies_tiles() -> bool:
    """Whether it multiplies matrices of bfloat16 in tiles (AMX), many times as fast as with vectors."""
    return bool(features().get("amx_bf16"))
