"""What machine and versions a run is made with."""

import os
import platform
import resource
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from wgan import worker
from wgan.machine import processor

PACKAGES = ("torch", "numpy", "pillow", "safetensors", "matplotlib")


def describe_environment(device: str, threads: int, processes: int) -> dict[str, Any]:
    """The content of ``environment.json``."""
    return {
        "wgan": installed("wgan"),
        "python": platform.python_version(),
        **{name: installed(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": processor.name(),
        "cores": processor.cores(),
        "device": device_name(torch.device(device)),
        "threads": threads,
        "processes": processes,
        "launch": worker.place().launch,
        "command": os.environ.get(worker.COMMAND) or shlex.join(sys.argv),
    }


def installed(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def device_name(device: torch.device) -> str:
    """A device with its name, where it has one."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
