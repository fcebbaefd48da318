"""Random streams as pure functions: a seed, the name of a stream and an index give the same numbers each time.

Uniform numbers and orders are the same on any machine, normal numbers on those of the same SIMD width.

Nothing about randomness has to be saved or kept in step between processes, and what one stream draws never shifts
another.
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

CPU = torch.device("cpu")
_ONE_AT_A_TIME = threading.RLock()  # torch has one stream, and one cache of parametrised weights, for all threads


def rng(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """The generator of the ``index``-th draw of a stream (a CPU generator, so that devices agree)."""
    words = np.random.SeedSequence((seed, zlib.crc32(stream.encode()), index)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


@contextmanager
def seeded(seed: int, stream: str, index: int = 0, device: torch.device = CPU) -> Iterator[None]:
    """Let all that draws from torch's own stream inside, such as first weights and dropout, be a function of these.

    Only one thread at a time is inside; what others draw meanwhile from torch's own stream is not reproducible.
    """
    gpu = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    with _ONE_AT_A_TIME, torch.random.fork_rng([gpu] if device.type == "cuda" else []):
        # torch.manual_seed would also make a note, with the stack, for each kind of device that is not there.
        start = rng(seed, stream, index).initial_seed()
        torch.default_generator.manual_seed(start)
        if device.type == "cuda":
            torch.cuda.default_generators[gpu].manual_seed(start)
        yield
