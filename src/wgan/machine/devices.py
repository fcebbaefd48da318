"""Devices by their names, and what they are quick at."""

import re

import torch

from wgan.errors import UsageError
from wgan.machine import processor
from wgan.words import first_line


def device_of(given: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: There is none of that name on this machine.
    """
    try:
        device = torch.device(given)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:
        reason = first_line(error).partition(". ")[0].rstrip(".")
        raise UsageError(f"device is {given!r}, which cannot be used here ({reason}); use cpu.") from error
    return device


def resolve_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the first GPU, or else the processor.

    Raises:
        UsageError: There is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]+)?", name):
        raise UsageError(f"--device: {name!r} is not supported; use auto, cpu, cuda or cuda:1.")
    return device_of(name)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    features = processor.features() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
