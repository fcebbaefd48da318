"""Random streams as pure functions: a seed, the name of a stream and an index give the same numbers on any machine.

Nothing about randomness has to be saved or kept in step between processes, and what one stream draws never shifts
another.
"""

import zlib

import numpy as np
import torch


def rng(seed: int, stream: str, index: int = 0) -> torch.Generator:
    """The generator of the ``index``-th draw of a stream (a CPU generator, so that devices agree)."""
    words = np.random.SeedSequence((seed, zlib.crc32(stream.encode()), index)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))
