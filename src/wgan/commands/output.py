"""Samples and contact sheets as files, written as a stream."""

from pathlib import Path
from typing import Any

import numpy as np

from wgan import pictures
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.files import UnwrittenError, at_home, fill, write_atomically
from wgan.model import Model
from wgan.seeds import rng
from wgan.words import count

_SHEET, _POINTS = 64, 2000
_GRID_LIMIT = 1024
_PLOT_LIMIT = 100_000
_GRID_PIXELS = 2**25


def write_samples(model: Model, n: int, seed: int, place: str) -> dict[str, Any]:
    """Write ``n`` samples to a .npy, a .png (a grid, or a scatter plot of vectors) or a folder of PNGs.

    Returns:
        ``shape`` and ``dtype`` of all samples together.

    Raises:
        UsageError: The name's ending says none of these, or a grid would be too large.
        WganError: It cannot be written.
    """
    flat, folder, out = len(model.shape) == 1, place.endswith("/"), at_home(place)
    try:
        if out.suffix.lower() == ".npy" and not folder:
            return _write_array(model, n, seed, out)
        if out.suffix.lower() == ".png" and not folder:
            return _write_picture(model, n, seed, out)
        if (out.suffix == "" or folder) and not flat:
            return _write_folder(model, n, seed, out)
    except UnwrittenError:
        raise
    except OSError as error:
        raise WganError(f"--out: cannot write {place}: {error.strerror or error}.") from error
    allowed = "x.npy or scatter.png" if flat else "x.npy, grid.png or folder/"
    raise UsageError(f"--out: {place!r} is not a place for these samples; write {allowed}.")


def check_sheet(out: Path) -> None:
    """Refuse a name for a contact sheet that is no picture's, or a folder's.

    Raises:
        UsageError: It is.
    """
    if out.suffix.lower() != ".png" or out.is_dir():
        raise UsageError(f"--out: {str(out)!r} is not a place for a contact sheet; write sheet.png.")


def write_contact_sheet(data: Data, out: Path) -> None:
    """Draw some of a data set's samples."""
    index = data.train.some(_POINTS if len(data.shape) == 1 else _SHEET, rng(0, "contact sheet"))
    samples = data.units.to_user(data.train.batch(index))
    if samples.ndim == 4:
        pictures.contact_sheet(out, samples, f"{data.name}: {len(samples)} of {data.report.count or len(samples):,}")
        return
    from wgan.curves import scatter

    scatter(out, samples, samples[:0], modes=data.modes, title=data.name)


def _write_array(model: Model, n: int, seed: int, out: Path) -> dict[str, Any]:
    shape = model.shape if len(model.shape) == 1 else (*model.shape[1:], model.shape[0])
    dtype = model.units.dtype

    def write(path: Path) -> None:
        with path.open("wb") as file:  # a memory map would end in a bus error on a full disk
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": (n, *shape),
            }
            np.lib.format.write_array_header_1_0(file, header)
            for block in model.stream(n, seed):
                file.write(np.ascontiguousarray(block).tobytes())

    write_atomically(out, write, parents=True)
    return {"shape": [n, *shape], "dtype": np.dtype(dtype).name}


def _write_picture(model: Model, n: int, seed: int, out: Path) -> dict[str, Any]:
    if len(model.shape) == 3:
        _, height, width = model.shape
        most = max(1, min(_GRID_LIMIT, _GRID_PIXELS // (height * width)))
        if n > most:
            raise UsageError(f"--number: a grid of {n:,} pictures is too large; at most {most:,}, or -o folder/.")
    elif n > _PLOT_LIMIT:
        raise UsageError(f"--number: {n:,} samples are too many to plot; at most {_PLOT_LIMIT:,}, or -o x.npy.")
    samples = model.sample(n, seed)
    if samples.ndim == 4:
        pictures.save_grid(out, samples)
    else:
        from wgan.curves import DOTS, scatter

        drawn = f"{DOTS:,} of " if n > DOTS else ""
        scatter(out, samples[:0], samples, title=drawn + count(n, "sample"))
    return {"shape": list(samples.shape), "dtype": samples.dtype.name}


def _write_folder(model: Model, n: int, seed: int, out: Path) -> dict[str, Any]:
    def write(place: Path) -> None:
        done = 0
        for block in model.stream(n, seed):
            pictures.save_pictures(place, block, start=done)
            done += len(block)

    fill(out, write)
    channels, height, width = model.shape
    return {"shape": [n, height, width, channels], "dtype": "uint8"}
