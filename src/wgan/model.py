"""A trained generator with all that it takes to use it elsewhere: its network, its noise, and its data's units."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wgan.data.samples import Units
from wgan.errors import WganError
from wgan.files import write_atomically
from wgan.networks import Generator, Latent, make_generator
from wgan.networks.base import detached_copy
from wgan.seeds import seeded
from wgan.surroundings import undisturbed
from wgan.words import first_line

FORMAT_VERSION = 3


class UnreadableError(WganError):
    """A file is none of ours, or another one: the text is the reason alone, to which its reader adds what to do."""


class Model:
    """A generator that gives samples in the units of the data that it was trained on.

    Args:
        generator: Noise to samples, in the range in which networks work; a copy is put into evaluation mode.
        units: How to bring samples back to the user's units.
    """

    def __init__(self, generator: Generator, units: Units) -> None:
        self.generator, self.units = detached_copy(generator).eval().requires_grad_(False), units

    def __repr__(self) -> str:
        return f"Model(shape={self.shape}, latent={self.latent})"

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of a picture or (D,) of a vector."""
        return self.generator.shape

    @property
    def latent(self) -> Latent:
        """The noise that the generator takes."""
        return self.generator.latent

    def __call__(self, z: Tensor) -> Tensor:
        """Samples (N, C, H, W) in [-1, 1], or standardised vectors (N, D), from noise (N, L)."""
        weight = next(self.generator.parameters())
        with torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
            samples: Tensor = self.generator(z.to(weight))
        return samples

    def sample(self, n: int, seed: int = 0) -> NDArray[Any]:
        """Draw samples: pictures as uint8 (n, H, W, C), vectors (n, D) in their own units and precision.

        The ``i``-th sample of a seed is the same whatever ``n`` is.

        Raises:
            UsageError: ``n`` is below 1, or the seed below 0.
        """
        return np.concatenate(list(self.stream(n, seed)))

    def stream(self, n: int, seed: int = 0) -> Iterator[NDArray[Any]]:
        """The same samples in blocks of at most 64, so that a million need no more memory than a few."""
        for z in self.latent.blocks(n, seed):
            yield self.units.to_user(self(z)[:n].cpu())
            n -= len(z)

    @classmethod
    @undisturbed
    def load(cls, path: Path) -> "Model":
        """Read a ``generator.safetensors``.

        Raises:
            WganError: There is no such file, or it is not one of ours.
        """
        try:
            tensors, about = read_tensors(path, "network", "units")
            network = about["network"]
            latent = Latent(**network["latent"])
            with seeded(0, "weights"):  # which are replaced; the caller's own stream is left alone
                generator = make_generator(network["family"], tuple(network["shape"]), latent, **network["options"])
            generator.load_state_dict(tensors)
            return cls(generator, Units.from_dict(about["units"]))
        except (UnreadableError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WganError(
                f"{path} is not a generator that wgan has saved ({first_line(error)}); name a run, or its "
                "generator.safetensors."
            ) from error


def save_model(path: Path, tensors: Mapping[str, Tensor], network: Mapping[str, Any], units: Units) -> None:
    """Write a ``generator.safetensors``.

    Args:
        path: Where to.
        tensors: The generator's state dictionary.
        network: ``family``, ``shape``, ``latent`` and ``options``: how to build it again.
        units: The units of its data.
    """
    save_tensors(path, tensors, {"network": network, "units": units.to_dict()})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able description as one safetensors file, atomically.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    from wgan import __version__

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if len({tensor.untyped_storage().data_ptr() for tensor in plain.values()}) < len(plain):  # tied: not in the format
        plain = {name: tensor.clone() for name, tensor in plain.items()}
    described = {"format_version": FORMAT_VERSION, "wgan": __version__, **about}
    # One entry: safetensors writes several in an order that changes, and the same run would be other bytes each time.
    metadata = {"wgan": json.dumps(described | {"blake2b": _digest(described, plain)}, allow_nan=False)}
    try:
        write_atomically(path, lambda temporary: save_file(plain, temporary, metadata))
    except SafetensorError as error:
        raise OSError(f"cannot write {path}: {error}") from error


def read_tensors(path: Path, *entries: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What :func:`save_tensors` wrote: tensors and description.

    Args:
        path: Where it is.
        *entries: What the description must have.

    Raises:
        UnreadableError: It cannot be read, or is no such file.
        WganError: Another format of this package wrote it, or its bytes are not those that were written.
    """
    try:
        with _readable(path) as readable, safe_open(readable, framework="pt") as file:
            about: dict[str, Any] = json.loads((file.metadata() or {})["wgan"])
            found = int(about["format_version"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = first_line(error)
        raise UnreadableError(f"there is no {reason} in it" if isinstance(error, KeyError) else reason) from error
    if found != FORMAT_VERSION:
        remedy = "update wgan" if found > FORMAT_VERSION else "train a new run"
        raise WganError(f"{path} has format {found}, and this wgan reads {FORMAT_VERSION}; {remedy}.")
    if about.pop("blake2b", None) != _digest(about, tensors):
        raise WganError(f"{path} is damaged: it is not what was saved there; restore a copy of it, or train a new run.")
    for entry in entries:
        if entry not in about:
            raise UnreadableError(f"there is no {entry!r} in it")
    return tensors, about


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """A path that safetensors opens: names that are not UTF-8, as old archives have them, it only writes."""
    if not any("\ud800" <= character <= "\udfff" for character in str(path)):
        yield path
        return
    with path.open("rb") as file:
        yield Path(f"/dev/fd/{file.fileno()}")


def _digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """A hash of a description and of tensors' bytes, by which a disk's mistakes are noticed."""
    digest = hashlib.blake2b(json.dumps(described).encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
