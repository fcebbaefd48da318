"""One picture: modes, depths, fits, orientation, and files that are none."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.images import Target, Unreadable, becoming_unreadable, decode, fit, header
from wgan.errors import UsageError

H, W = 5, 7
RAMP = np.linspace(0, 255, H * W).round().astype(np.uint8).reshape(H, W)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(
    content: bytes, channels: int = 3, size: tuple[int, int] = (H, W), how: Any = "crop", value_range: Any = None
) -> NDArray[np.uint8]:
    with becoming_unreadable():
        return decode(io.BytesIO(content), Target(*size, channels, how, value_range))[1]


def grey_as_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "TGA"])
def test_grey_pixels_are_exact(kind: str) -> None:
    content = saved(Image.fromarray(RAMP), kind)
    np.testing.assert_array_equal(read(content, 1), RAMP[..., None])
    np.testing.assert_array_equal(read(content, 3), grey_as_rgb(RAMP))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_colour_pixels_are_exact(kind: str, options: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read(saved(Image.fromarray(COLOUR), kind, **options)), COLOUR)


def test_colour_to_grey_is_luma() -> None:
    luma = COLOUR @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(saved(Image.fromarray(COLOUR)), 1)[..., 0] - luma).max() <= 1


def test_one_bit() -> None:
    np.testing.assert_array_equal(read(saved(Image.fromarray(RAMP > 99)), 1)[..., 0], (RAMP > 99) * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    deep = RAMP.astype(np.uint16) * 257
    np.testing.assert_array_equal(read(saved(Image.fromarray(deep), kind), 1)[..., 0], RAMP)


def test_sixteen_bit_pgm_and_dark_ones() -> None:
    deep = (RAMP.astype(">u2") * 257).tobytes()
    np.testing.assert_array_equal(read(b"P5 7 5 65535\n" + deep, 1)[..., 0], RAMP)
    dark = np.full((H, W), 200, np.uint16)  # 200 of 65535 is nearly black, although it looks like a byte
    assert read(saved(Image.fromarray(dark)), 1).max() == 1


@pytest.mark.parametrize("scale", [1, 257, 70_000])
def test_integers_of_32_bits(scale: int) -> None:
    content = saved(Image.fromarray(RAMP.astype(np.int32) * scale), "TIFF")
    np.testing.assert_array_equal(read(content, 1, value_range=(0, 255 * scale))[..., 0], RAMP)


@pytest.mark.parametrize("scale", [1 / 255, 1, 40])
def test_floats(scale: float) -> None:
    content = saved(Image.fromarray((RAMP.astype(np.float64) * scale).astype(np.float32)), "TIFF")
    np.testing.assert_array_equal(read(content, 1, value_range=None if scale < 1 else (0, 255 * scale))[..., 0], RAMP)


def test_nan_is_refused() -> None:
    with pytest.raises(Unreadable, match="NaN"):
        read(saved(Image.fromarray(np.full((H, W), np.nan, np.float32)), "TIFF"))


def test_transparency_is_laid_on_white_or_kept() -> None:
    alpha = np.full((H, W, 1), 51, np.uint8)  # a fifth
    content = saved(Image.fromarray(np.concatenate([COLOUR, alpha], axis=-1)))
    assert np.abs(read(content) - (COLOUR * 0.2 + 255 * 0.8)).max() <= 1
    np.testing.assert_array_equal(read(content, 4), np.concatenate([COLOUR, alpha], axis=-1))
    opaque = read(saved(Image.fromarray(COLOUR)), 4)
    np.testing.assert_array_equal(opaque[..., 3], 255)


def test_grey_with_transparency() -> None:
    pixels = np.stack([np.zeros_like(RAMP), RAMP], axis=-1)  # black, more and more opaque
    assert np.abs(read(saved(Image.fromarray(pixels, "LA")), 1)[..., 0] - (255.0 - RAMP)).max() <= 1


def test_palette_with_and_without_transparency() -> None:
    image = Image.fromarray((RAMP % 2).astype(np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    expected = np.where(RAMP[..., None] % 2, [200, 100, 50], [10, 20, 30])
    np.testing.assert_array_equal(read(saved(image)), expected)
    white = np.where(RAMP[..., None] % 2, [200, 100, 50], 255)
    np.testing.assert_array_equal(read(saved(image, transparency=0)), white)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_print_and_video_colours(mode: str) -> None:
    content = saved(Image.new("RGB", (W, H), (200, 100, 50)).convert(mode), "TIFF")
    assert np.abs(read(content).astype(int) - [200, 100, 50]).max() <= 3


def test_cmyk_jpeg() -> None:
    content = saved(Image.new("RGB", (W, H), (200, 100, 50)).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(read(content).astype(int) - [200, 100, 50]).max() <= 4


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    first, *rest = [Image.new("RGB", (W, H), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(first, kind, save_all=True, append_images=rest, **options)
    np.testing.assert_array_equal(read(content), np.broadcast_to([255, 0, 0], (H, W, 3)))


# How pixels must be turned so that the picture is upright, by EXIF's definition of where row 0 and column 0 are.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(COLOUR), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = TURNS[orientation](COLOUR)
    seen = header(io.BytesIO(content))
    assert (seen.height, seen.width) == expected.shape[:2]
    np.testing.assert_array_equal(read(content, size=expected.shape[:2]), expected)


def test_what_a_png_says_behind_its_pixels_turns_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(COLOUR), "PNG", exif=exif)
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    last = content.index(b"IEND") - 4
    content = content[:start] + content[end:last] + content[start:end] + content[last:]
    seen = header(io.BytesIO(content))
    assert (seen.height, seen.width) == COLOUR.shape[:2]
    np.testing.assert_array_equal(read(content, size=COLOUR.shape[:2]), COLOUR)


def test_a_large_turned_jpeg_is_shrunk_while_decoding() -> None:
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, 450:] = 255  # the right half, which orientation 6 turns to the bottom
    exif = Image.Exif()
    exif[0x0112] = 6
    got = read(saved(Image.fromarray(pixels), "JPEG", exif=exif), size=(30, 20)).astype(int)
    assert got[:13].max() <= 8
    assert got[17:].min() >= 247


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("source", [(1, 1), (3, 5000), (5000, 3), (20, 20), (10, 40), (64, 48), (2000, 1500)])
@pytest.mark.parametrize("size", [(1, 1), (16, 24), (28, 28)])
def test_any_size_reaches_any_size(how: Any, source: tuple[int, int], size: tuple[int, int]) -> None:
    image = Image.new("RGB", source[::-1], (9, 90, 200))
    got = fit(image, Target(*size, 3, how))
    assert got.shape == (*size, 3)
    assert got.dtype == np.uint8
    if how != "pad":
        assert np.abs(got.astype(int) - [9, 90, 200]).max() <= 5, (
            "Pillow's box filter rounds where a million become one"
        )


def test_crop_takes_the_middle_exactly() -> None:
    wide = np.arange(4 * 10, dtype=np.uint8).reshape(4, 10)
    np.testing.assert_array_equal(fit(Image.fromarray(wide), Target(4, 4, 1, "crop"))[..., 0], wide[:, 3:7])
    np.testing.assert_array_equal(fit(Image.fromarray(wide), Target(4, 5, 1, "crop"))[..., 0], wide[:, 2:7])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pad_never_enlarges(channels: int) -> None:
    got = fit(Image.fromarray(COLOUR), Target(9, 9, channels, "pad"))
    border = got.copy()
    border[2:7, 1:8] = 0
    assert not border.any(), "black, and transparent where there is transparency"
    if channels > 1:
        np.testing.assert_array_equal(got[2:7, 1:8, :3], COLOUR)


def test_pad_shrinks_what_is_larger() -> None:
    got = fit(Image.new("L", (40, 20), 255), Target(10, 10, 1, "pad"))[..., 0]
    np.testing.assert_array_equal(got[:, 5], [0, 0, 255, 255, 255, 255, 255, 0, 0, 0])


def bomb_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


GOOD = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)))
BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"I am no picture at all, whatever my name says.\n", "not a picture"),
    "truncated": (GOOD[: len(GOOD) // 2], "broken"),
    "bomb": (bomb_png(20_000, 20_000), "megapixels"),
    "half a bomb": (bomb_png(11_000, 10_000), "megapixels"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "not a picture"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_has_a_reason(name: str) -> None:
    content, reason = BROKEN[name]
    with warnings.catch_warnings(), pytest.raises(Unreadable, match=reason):
        warnings.simplefilter("ignore")
        read(content)


def test_what_is_white_of_more_than_8_bits_can_be_said(tmp_path: Path) -> None:
    twelve = [RAMP.astype(np.uint16) * 20 + np.uint16(500 * number) for number in range(4)]
    for number, deep in enumerate(twelve):
        (tmp_path / f"{number}.png").write_bytes(saved(Image.fromarray(deep)))
    said = open_data(tmp_path, DataConfig(value_range=(0, 7000)))
    found = open_data(tmp_path, DataConfig())
    for data, white in ((said, 7000), (found, 65535)):
        expected = np.rint(np.array(twelve)[data.train.rows] / white * 255)
        made = data.units.to_user(data.train.batch(torch.arange(len(data.train.rows))))
        np.testing.assert_array_equal(made[..., 0], expected)
    assert said.report.value_range == (0, 7000) and any("7000 white" in note for note in said.report.notes)
    assert any("--value-range=LOW,HIGH" in note for note in found.report.notes)
    (tmp_path / "plain").mkdir()
    for number in range(4):
        (tmp_path / "plain" / f"{number}.png").write_bytes(saved(Image.fromarray(RAMP + np.uint8(number))))
    plain = open_data(tmp_path / "plain", DataConfig(value_range=(0, 4095)))
    assert any("--value-range is not used" in note for note in plain.report.notes)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_scale_are_not_scaled_picture_by_picture(mode: str, tmp_path: Path) -> None:
    for number in range(4):
        values = RAMP.astype(np.int32 if mode == "I" else np.float32) * (number + 1)
        (tmp_path / f"{number}.tif").write_bytes(saved(Image.fromarray(values), "TIFF"))
    with pytest.raises(UsageError, match=r"say what is black and white in all of them with --value-range=LOW,HIGH"):
        open_data(tmp_path, DataConfig())
    said = open_data(tmp_path, DataConfig(value_range=(0, 1020)))
    assert said.report.duplicates == 0 and said.report.value_range == (0, 1020)


def test_12_bits_in_files_of_16_are_not_taken_for_nearly_black(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(
            saved(Image.fromarray(RAMP.astype(np.uint16) * 16 + np.uint16(number)))
        )
    with pytest.raises(UsageError, match=r"would keep only 17 of 256 grey levels.*--value-range=LOW,HIGH"):
        open_data(tmp_path, DataConfig())
    assert open_data(tmp_path, DataConfig(value_range=(0, 4095))).report.count == 4


def _decoded(image: Any, kind: str, size: tuple[int, int], how: str) -> np.ndarray:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 100} if kind == "JPEG" else {}))
    return decode(io.BytesIO(buffer.getvalue()), Target(*size, 1, how))[1][..., 0].astype(int)


@pytest.mark.parametrize("how", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("shape", [(512, 512), (128, 1024)])
def test_a_jpeg_that_is_shrunk_while_decoding_keeps_the_detail_that_fits(shape: tuple[int, int], how: str) -> None:
    """Stripes of two pixels of the result; the same pixels as PNG are decoded whole."""

    size = (64, 64)
    wide = 2 * shape[1] // 64 if how == "stretch" else 2 * max(shape) // 64 if how == "pad" else 2 * min(shape) // 64
    stripes = np.broadcast_to(np.where(np.arange(shape[1]) // wide % 2, 255, 0).astype(np.uint8), shape)
    image = Image.fromarray(np.ascontiguousarray(stripes))
    one, other = (_decoded(image, kind, size, how) for kind in ("JPEG", "PNG"))
    assert other.std() > 20 and np.abs(one - other).mean() < 10


@pytest.mark.parametrize("how", ["crop", "stretch", "pad"])
def test_fine_stripes_become_grey_when_shrunk(how: str) -> None:
    stripes = Image.fromarray(np.ascontiguousarray(np.broadcast_to(np.arange(64) % 2 * 255, (64, 64)).astype(np.uint8)))
    assert np.abs(fit(stripes, Target(16, 16, 1, how))[2:-2, 2:-2].astype(int) - 127).max() <= 8


def test_floats_below_0_have_no_scale_of_their_own() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(-1, 1, 35, dtype=np.float32).reshape(5, 7)).save(buffer, "TIFF")
    with pytest.raises(UsageError, match="--value-range"):
        decode(io.BytesIO(buffer.getvalue()), Target(5, 7, 1, "crop"))
