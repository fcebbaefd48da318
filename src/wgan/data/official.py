"""The file formats of the classic benchmark sets: IDX (MNIST and its kin) and CIFAR-10's binary records.

References:
    http://yann.lecun.com/exdb/mnist/ (IDX), https://www.cs.toronto.edu/~kriz/cifar.html
"""

import gzip
import math
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wgan.errors import WganError

IDX_UINT8 = 8
MOST_IDX = 2**31
CIFAR_RECORD = 1 + 3 * 32 * 32
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_FILES = (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin")
MOST_CIFAR = 10_000 * CIFAR_RECORD


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """An IDX file of bytes with so many axes, plain or gzipped.

    The header is two zero bytes, the type (8 for bytes), the number of axes, and each length as 4 bytes, big
    end first.

    Raises:
        WganError: It is no such file, or not whole.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes([0, 0, IDX_UINT8, axes]) or len(head) < 4 + 4 * axes:
                raise WganError(f"{path} is not an IDX file of bytes with {axes} axes; get the official file again.")
            shape = tuple(np.frombuffer(head, ">u4", offset=4).tolist())
            promised = math.prod(shape)
            content = file.read(min(promised, MOST_IDX) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise WganError(f"{path} is damaged ({error}); get the file again.") from error
    if len(content) != promised:
        length = "more" if len(content) > promised else f"{len(content):,}"
        raise WganError(f"{path} promises {promised:,} bytes but has {length}; get the file again.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_idx_pair(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (N, H, W, 1) and labels (N,).

    Raises:
        WganError: A file is damaged, or their lengths differ.
    """
    pixels, numbers = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(numbers) or pixels.size == 0:
        raise WganError(f"{images} has {len(pixels):,} pictures but {labels} has {len(numbers):,} labels.")
    return pixels[..., None], numbers


def read_cifar(paths: Sequence[Path]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Pictures (N, 32, 32, 3), labels (N,), and how many come before the test batch.

    Args:
        paths: The official archive, or the six files of ``CIFAR_FILES``.

    Raises:
        WganError: Something is missing or damaged.
    """
    contents = _unpack(paths[0]) if len(paths) == 1 else [path.read_bytes() for path in paths]
    parts = []
    for name, content in zip(CIFAR_FILES, contents, strict=True):
        if not content or len(content) % CIFAR_RECORD:
            raise WganError(
                f"{name} in {paths[0].parent} has {len(content):,} bytes, "
                f"not a multiple of {CIFAR_RECORD:,}; get the file again."
            )
        parts.append(np.frombuffer(content, np.uint8).reshape(-1, CIFAR_RECORD))
    records = np.concatenate(parts)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0], len(records) - len(parts[-1])


def _unpack(path: Path) -> list[bytes]:
    """The six files' bytes; only regular members with the expected names and at most their size are read."""
    wanted = {f"{CIFAR_FOLDER}/{name}": name for name in CIFAR_FILES}
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = wanted.get(member.name.removeprefix("./"))
                if name is None or not member.isreg() or member.size > MOST_CIFAR or name in found:
                    continue
                file = tar.extractfile(member)
                found[name] = file.read() if file else b""
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise WganError(f"{path} is damaged ({error}); get the file again.") from error
    missing = [name for name in CIFAR_FILES if name not in found]
    if missing:
        raise WganError(f"{path} lacks {', '.join(missing)}; get the file again.")
    return [found[name] for name in CIFAR_FILES]
