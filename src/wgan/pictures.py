"""Arrays of images as files that a person looks at: grids, contact sheets, single pictures, a progress GIF.

Images are uint8 (N, H, W, C), as everywhere outside tensors: one channel is grey, three RGB, four RGBA (on
a checkerboard); of any other number, the first is shown as grey. Single files appear whole or not at all.
"""

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wgan.errors import UsageError, WganError
from wgan.files import write_atomically


class FrameError(WganError):
    """A frame of an animation cannot be read.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the frame {path} cannot be read ({reason}): leave it out or make it again")
        self.path = path


Images = NDArray[np.uint8]

GAP = 2
GAP_COLOUR = 222
PAPER = (255, 255, 255)
INK = (40, 40, 40)
SMALLEST_TILE = 56
LARGEST_SIDE = 1600
SECONDS = 8.0
"""How long one round of a GIF takes, without the pause at its end."""
MOST_BYTES, MOST_FRAMES = 10_000_000, 80
"""A GIF is never larger and has no more frames. Captions take little of that, so small enough pictures always fit."""
FEWEST_FRAMES = 16
"""A GIF is thinned down to this many frames before its pictures are made smaller."""
TEXT_SIZE = 15
LETTER_WIDTH = 9
"""More than most letters of this size take: a line that is longer all the same makes the page wider."""
FEWEST_LETTERS = 20
"""A title above a narrow page is not broken into shorter lines than this."""
TEXT_MARGIN = 6


def grid(images: Images) -> Image.Image:
    """Tiles images on one roughly square page with a thin light gap between and around them.

    Small images are enlarged by a whole factor, with sharp pixels, until the shorter side of a tile has 56
    pixels or the page 1600; nothing is ever shrunk. Cells left over have the colour of the gap.

    Args:
        images: The images, uint8 (N, H, W, C) with N at least 1.

    Returns:
        An RGB picture.
    """
    _check(images)
    count, height, width, _ = images.shape
    columns = min(count, math.ceil(math.sqrt(count * height / width)))
    rows = math.ceil(count / columns)
    factor = _factor(rows, columns, height, width)
    tiles = _on_paper(images.repeat(factor, axis=1).repeat(factor, axis=2))
    height, width = tiles.shape[1:3]
    page = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), GAP_COLOUR, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        page[top : top + height, left : left + width] = tile
    return Image.fromarray(page)


def save_grid(path: Path | str, images: Images) -> None:
    """Writes :func:`grid` of images, uint8 (N, H, W, C), as a PNG."""
    _write(Path(path), _png(grid(images)))


def contact_sheet(path: Path | str, images: Images, title: str) -> None:
    """Writes a grid with a line of text above it as a PNG; a long title is wrapped.

    Args:
        path: The PNG to write.
        images: The images, uint8 (N, H, W, C).
        title: What the sheet shows.
    """
    page = grid(images)
    fitting = max(FEWEST_LETTERS, page.width // LETTER_WIDTH)
    text = textwrap.fill(title, fitting, break_long_words=False, break_on_hyphens=False)
    _write(Path(path), _png(_captioned(page, text, _strip([text]))))


def save_pictures(folder: Path | str, images: Images, start: int = 0) -> None:
    """Writes each image as a PNG of its own, with its own size and channels: 000000.png, 000001.png ...

    Pictures are many: unlike other files they are written as they are, for :func:`wgan.files.fill` to make all appear.

    Args:
        folder: Where to.
        images: The images, uint8 (N, H, W, C).
        start: The number of the first picture, for callers that write batch after batch.
    """
    _check(images)
    shown = images if images.shape[-1] in (3, 4) else images[..., 0]
    for number, image in enumerate(shown, start):
        Image.fromarray(np.ascontiguousarray(image)).save(Path(folder) / f"{number:06d}.png")


def animate(path: Path | str, frames: Sequence[tuple[Path, str]]) -> None:
    """Writes a looping GIF of pictures on disk, of 10 MB and 80 frames at most.

    If there are too many frames or bytes, they are thinned evenly, the first and the last kept; if fewer than
    16 would be left, the pictures are made smaller instead. All are padded with white to the biggest
    size; the last is held for two seconds more. Pictures are decoded one by one: memory is about one byte a
    pixel for each frame that is kept.

    Args:
        path: The GIF to write.
        frames: The pictures in order, PNG or anything else that Pillow reads, each with a line that is drawn in a strip
            above it.

    Raises:
        UsageError: There are no frames.
        FrameError: One of the frames cannot be read.
    """
    if not frames:
        raise UsageError("an animation has no frames; give at least one picture.")
    # A trial with a few frames saves most of the encodings that would turn out too big.
    few = min(len(frames), 6)
    gif = _encode(frames, few, 1.0)
    likely = int(1.25 * few * MOST_BYTES / len(gif))
    count, scale = min(len(frames), MOST_FRAMES, max(FEWEST_FRAMES, likely)), 1.0
    if count != few:
        gif = _encode(frames, count, scale)
    while len(gif) > MOST_BYTES:
        count, scale = _smaller(count, scale, MOST_BYTES / len(gif))
        gif = _encode(frames, count, scale)
    _write(Path(path), gif)


def _check(images: Images) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise UsageError(
            f"images are {images.dtype} {images.shape}; pictures need uint8 (N, H, W, C), none of them 0: "
            "turn [-1, 1] into (x + 1) * 127.5 and put the channels last"
        )


def _factor(rows: int, columns: int, height: int, width: int) -> int:
    """The whole number by which tiles are enlarged: up to 56 pixels a tile, within 1600 for the page."""
    wanted = math.ceil(SMALLEST_TILE / min(height, width))
    room = (LARGEST_SIDE - GAP) / max(rows * (height + GAP), columns * (width + GAP))
    return max(1, min(wanted, int(room)))


def _on_paper(images: Images) -> Images:
    """(N, H, W, C) -> (N, H, W, 3): grey becomes RGB, transparency shows a checkerboard."""
    channels = images.shape[-1]
    if channels == 3:
        return images
    if channels != 4:
        return np.broadcast_to(images[..., :1], (*images.shape[:3], 3))
    y, x = np.indices(images.shape[1:3]) // 8
    board = np.where((x + y) % 2, 232, 255)[..., None]
    alpha = images[..., 3:].astype(np.float32) / 255
    blend: Images = np.rint(images[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)
    return blend


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(TEXT_SIZE)


def _text_size(text: str) -> tuple[int, int]:
    """Width and height in pixels of lines of text."""
    box = ImageDraw.Draw(Image.new("L", (1, 1))).multiline_textbbox((0, 0), text or " ", font=_font())
    return math.ceil(box[2]), math.ceil(box[3])


def _strip(captions: Sequence[str]) -> tuple[int, int]:
    """Width and height of the strip that holds any of the captions."""
    sizes = [_text_size(caption) for caption in captions]
    return max(w for w, _ in sizes) + 2 * TEXT_MARGIN, max(h for _, h in sizes) + 2 * TEXT_MARGIN


def _captioned(picture: Image.Image, text: str, strip: tuple[int, int]) -> Image.Image:
    """The picture under a white strip with the text; the page is as wide as the wider of the two."""
    page = Image.new("RGB", (max(picture.width, strip[0]), picture.height + strip[1]), PAPER)
    page.paste(picture, (0, strip[1]))
    ImageDraw.Draw(page).multiline_text((TEXT_MARGIN, TEXT_MARGIN), text, fill=INK, font=_font())
    return page


def _spread(total: int, count: int) -> list[int]:
    """Count of the numbers 0 ... total - 1, evenly spread, with the last and, from two on, the first."""
    if count == 1:
        return [total - 1]
    return [round(i * (total - 1) / (count - 1)) for i in range(count)]


def _smaller(count: int, scale: float, ratio: float) -> tuple[int, float]:
    """What to try after (count, scale) was too big, ratio (below 1) being the limit over the size."""
    if count > FEWEST_FRAMES:
        return max(FEWEST_FRAMES, min(count - 1, int(0.95 * ratio * count))), scale
    return count, scale * min(0.9, 0.95 * math.sqrt(ratio))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except Exception as error:  # for Pillow raises many kinds
        raise FrameError(path, str(error)) from error


def _load(path: Path) -> Image.Image:
    """One picture as RGB, transparency on white."""
    with _opened(path) as picture:
        if not picture.has_transparency_data:
            return picture.convert("RGB")
        paper = Image.new("RGBA", picture.size, (*PAPER, 255))
        return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def _canvas(frames: Sequence[Path]) -> tuple[int, int]:
    """Width and height that hold each of the pictures; only their headers are read."""
    sizes = []
    for frame in frames:
        with _opened(frame) as picture:
            sizes.append(picture.size)
    return max(w for w, _ in sizes), max(h for _, h in sizes)


def _pages(story: Sequence[tuple[Path, str]], scale: float) -> Iterator[Image.Image]:
    """The frames of a GIF, each with a palette of its own, all of one size."""
    canvas = _canvas([path for path, _ in story])
    strip = _strip([caption for _, caption in story])
    for path, caption in story:
        page = Image.new("RGB", canvas, PAPER)
        page.paste(_load(path))
        if scale < 1:
            # The text is drawn afterwards, so that it stays legible.
            page = page.resize([max(1, round(side * scale)) for side in canvas], Image.Resampling.HAMMING)
        yield _captioned(page, caption, strip).quantize(256)


def _encode(story: Sequence[tuple[Path, str]], count: int, scale: float) -> bytes:
    """The GIF of count frames; a frame takes 20 ms (browsers slow down anything quicker) to 500 ms."""
    pages = _pages([story[i] for i in _spread(len(story), count)], scale)
    pause = round(min(500, max(20, 1000 * SECONDS / count)))
    buffer = io.BytesIO()
    pauses = [pause] * (count - 1) + [pause + 2000]
    next(pages).save(buffer, "GIF", save_all=True, append_images=pages, duration=pauses, loop=0)
    return buffer.getvalue()


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content), parents=True)
