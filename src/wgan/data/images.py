"""One picture: from a file's bytes to uint8 (H, W, C), whatever its mode, size and orientation.

Files are not trusted: the size is checked before anything is decoded, and whatever Pillow raises becomes
:class:`Unreadable` with a reason in a few words.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from wgan.config import Fit
from wgan.errors import UsageError
from wgan.words import printable

MOST_PIXELS = 100_000_000
MOST_BYTES = 512 * 2**20
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
CHANNELS = tuple(MODES)
GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
# Pillow decodes EPS by running Ghostscript on it, which is no way to treat a file from anywhere.
REFUSED = frozenset({"EPS"})
# How much larger than asked for a picture is decoded or box-reduced before the exact filter.
GAP = 2.0
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = [UPRIGHT[orientation] for orientation in (5, 6, 7, 8)]


FEWEST_LEVELS = 16
"""Pictures of numbers that would keep fewer of the 256 are refused, unless a person says what is black and white."""


class Unreadable(Exception):  # noqa: N818 (an outcome that is counted, not an error that is shown)
    """Why a file is skipped, in a few words."""


@dataclass(frozen=True)
class Target:
    """What every picture becomes: uint8 (height, width, channels)."""

    height: int
    width: int
    channels: int
    fit: Fit
    value_range: tuple[float, float] | None = None
    """Black and white of pictures with more than 8 bits; None: as their format or their values say."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)


class Header(NamedTuple):
    """What a picture says about itself, the right way up."""

    height: int
    width: int
    mode: str
    format: str
    transparent: bool = False

    @classmethod
    def of_array(cls, shape: tuple[int, ...], format: str) -> "Header":
        """Of pixels (H, W) or (H, W, C) with 1, 3 or 4 channels."""
        channels = shape[2] if len(shape) == 3 else 1
        return cls(shape[0], shape[1], MODES[channels], format, channels == 4)

    @property
    def grey(self) -> bool:
        """Whether it has no colours."""
        return self.mode in GREY


def checked_range(given: tuple[float, float] | None) -> tuple[float, float] | None:
    """A value range from a person.

    Raises:
        UsageError: It is empty or not finite.
    """
    if given is not None and not (all(map(math.isfinite, given)) and given[0] < given[1]):
        raise UsageError(f"--value-range: {given[0]:g},{given[1]:g}, but the first must be below the second.")
    return given


@contextmanager
def becoming_unreadable() -> Iterator[None]:
    """Turn whatever Pillow raises of a file into :class:`Unreadable`, but not the question what black and white are."""
    try:
        yield
    except (Unreadable, UsageError):
        raise
    except Exception as error:
        raise Unreadable(reason(error)) from error


def header(file: BinaryIO) -> Header:
    """Read a picture's header without decoding it; to be called under :func:`becoming_unreadable`."""
    with _open(file) as image:
        return describe(image)


def decode(file: BinaryIO, target: Target) -> tuple[Header, NDArray[np.uint8]]:
    """Decode a picture and bring it to the target's shape; to be called under :func:`becoming_unreadable`.

    Raises:
        UsageError: What is black and white in it must be said.
    """
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise Unreadable(f"larger than {MOST_BYTES // 2**20} MB")
    with _open(BytesIO(content)) as image:
        seen, turn = describe(image), turn_of(image)
        _shrink_while_decoding(image, seen, target)
        image.load()
        return seen, fit(image if turn is None else image.transpose(turn), target)


def reason(error: Exception) -> str:
    """What went wrong with a file, in a few words."""
    match error:
        case Unreadable():
            return str(error)
        case UnidentifiedImageError():
            return "not a picture that Pillow reads"
        case Image.DecompressionBombError():
            return f"more than {MOST_PIXELS // 10**6} megapixels"
        case PermissionError():
            return "no permission to read it"
        case OSError() if error.errno:
            return os.strerror(error.errno)
    text = str(error).splitlines() or [type(error).__name__]
    return f"broken: {printable(text[0][:100])}"


def describe(image: Image.Image) -> Header:
    """The header of an opened picture."""
    width, height = image.size
    if turn_of(image) in SIDEWAYS:
        width, height = height, width
    return Header(height, width, image.mode, image.format or "memory", image.has_transparency_data)


def fit(image: Image.Image, target: Target) -> NDArray[np.uint8]:
    """Bring a decoded picture to the target's shape: uint8 (H, W, C)."""
    fitted = _resize(_colour(_eight_bits(image, target.value_range), target.channels), target)
    return np.asarray(fitted, dtype=np.uint8).reshape(target.shape)


def fit_array(pixels: NDArray[np.uint8], target: Target) -> NDArray[np.uint8]:
    """Bring uint8 (H, W, C) pixels to the target's shape."""
    if pixels.shape == target.shape:
        return pixels
    pixels = np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return fit(Image.fromarray(pixels), target)


def is_deep(mode: str) -> bool:
    """Whether a picture's mode has more than 8 bits a channel."""
    return mode.startswith(("I", "F"))


@cache
def _formats() -> tuple[str, ...]:
    Image.preinit()  # the common formats come first
    Image.init()
    return tuple(name for name in Image.ID if name not in REFUSED)


def _open(file: BinaryIO) -> Image.Image:
    if not file.read(1):
        raise Unreadable("empty file")
    file.seek(0)
    image = Image.open(file, formats=_formats())
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"more than {MOST_PIXELS // 10**6} megapixels")
    return image


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """How EXIF says that a picture which is not loaded yet must be turned.

    Pillow turns TIFF itself; in PNG only what precedes the pixels counts, and after loading the rest is seen as well.
    """
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return None
    try:
        return UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken metadata is no reason to lose the picture
        return None


def _shrink_while_decoding(image: Image.Image, seen: Header, target: Target) -> None:
    """Let the JPEG decoder halve a large picture: much faster, and still GAP times as large as needed."""
    ratios = target.height / seen.height, target.width / seen.width
    scale = GAP * (min(ratios) if target.fit == "pad" else max(ratios))
    if image.format in ("JPEG", "MPO") and scale < 1:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _colour(image: Image.Image, channels: int) -> Image.Image:
    """To 1, 3 or 4 channels of 8 bits; transparency that cannot be kept is laid on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels < 4:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(MODES[channels])


def _eight_bits(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Modes with more than 8 bits a channel -> L, scaled rather than clipped, but to a range that is given."""
    if not is_deep(image.mode):
        return image
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise Unreadable("has NaN or infinite pixels")
    low, high = value_range or _range(image, float(values.min()), float(values.max()))
    scaled = (values - low) * (255 / (high - low))
    return Image.fromarray(np.rint(scaled).clip(0, 255).astype(np.uint8))


def _range(image: Image.Image, low: float, high: float) -> tuple[float, float]:
    """What is black and white: as the format declares, or 0 and 1 of real numbers.

    Raises:
        UsageError: It is not known; a guess from each picture by itself would make some brighter than others.
    """
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):
        return 0.0, 65535.0
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    kind = "real numbers" if image.mode == "F" else "32-bit numbers"
    raise UsageError(
        f"there are pictures of {kind}, one of them from {low:g} to {high:g}; say what is black and white in all of "
        "them with --value-range=LOW,HIGH."
    )


def _resize(image: Image.Image, target: Target) -> Image.Image:
    (width, height), wanted = image.size, (target.width, target.height)
    if (width, height) == wanted:
        return image
    if target.fit == "stretch":
        return image.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=GAP)
    if target.fit == "pad":
        return _pad(image, target)
    scale = max(target.width / width, target.height / height)
    inner = min(width, target.width / scale), min(height, target.height / scale)
    left, top = (width - inner[0]) / 2, (height - inner[1]) / 2
    if scale == 1:  # whole pixels stay as they are
        left, top = math.floor(left), math.floor(top)
    box = (left, top, left + inner[0], top + inner[1])
    return image.resize(wanted, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)


def _pad(image: Image.Image, target: Target) -> Image.Image:
    scale = min(target.width / image.width, target.height / image.height, 1.0)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=GAP)
    canvas = Image.new(image.mode, (target.width, target.height))
    canvas.paste(image, ((target.width - inner[0]) // 2, (target.height - inner[1]) // 2))
    return canvas
