"""The data sets that benchmarks are run on: what `wgan train` opens, and sheets of many small pictures."""

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.samples import Data

ACROSS = 10


def open_pictures(source: str, options: DataConfig) -> Data:
    """A data set by name or path.

    A folder with a single zip of sheets called ``tile_*``, ten by ten pictures each, is cut up.
    """
    place = Path(source)
    if place.is_dir() and (archive := _sheets_in(place)):
        return open_data(cut(archive), options)
    return open_data(source, options)


def title(source: str) -> str:
    """What to call it."""
    return Path(source).stem


def _sheets_in(folder: Path) -> Path | None:
    archives = list(folder.glob("*.zip"))
    if len(archives) != 1:
        return None
    with zipfile.ZipFile(archives[0]) as archive:
        names = [Path(name).name for name in archive.namelist() if not name.endswith("/")]
    return archives[0] if any(name.startswith("tile_") for name in names) else None


def cut(archive: Path) -> NDArray[np.uint8]:
    """The pictures (N, H, W, 3) of all sheets, row by row."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if Path(name).name.startswith("tile_"))
        sheets = [np.asarray(Image.open(io.BytesIO(opened.read(name))).convert("RGB")) for name in names]
    return np.concatenate([_cells(sheet) for sheet in sheets])


def _cells(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = (side // ACROSS for side in sheet.shape[:2])
    grid = sheet.reshape(ACROSS, height, ACROSS, width, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(ACROSS**2, height, width, 3)
