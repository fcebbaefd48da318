"""Pictures are checked pixel by pixel against arrays made by hand, and GIFs by reading them back."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wgan import pictures
from wgan.errors import UsageError, WganError
from wgan.pictures import GAP, GAP_COLOUR, animate, contact_sheet, grid, save_grid, save_pictures


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tile(page: np.ndarray, row: int, column: int, height: int, width: int) -> np.ndarray:
    top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
    return page[top : top + height, left : left + width]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_tiles_are_the_images_enlarged_by_a_whole_factor(channels: int) -> None:
    images = noise(64, 28, 28, channels)
    page = np.asarray(grid(images))
    assert page.shape == (8 * (56 + GAP) + GAP, 8 * (56 + GAP) + GAP, 3)
    for index in (0, 7, 8, 63):
        shown = images[index] if channels == 3 else np.repeat(images[index][..., :1], 3, axis=-1)
        expected = np.kron(shown, np.ones((2, 2, 1), np.uint8))
        np.testing.assert_array_equal(tile(page, *divmod(index, 8), 56, 56), expected)


def test_gaps_and_empty_cells_are_light() -> None:
    page = np.asarray(grid(np.zeros((5, 60, 60, 1), np.uint8)))
    assert page.shape[:2] == (2 * 62 + 2, 3 * 62 + 2)
    assert (page[:GAP] == GAP_COLOUR).all()
    assert (page[:, 60 + GAP : 60 + 2 * GAP] == GAP_COLOUR).all()
    assert (tile(page, 1, 2, 60, 60) == GAP_COLOUR).all()
    assert (tile(page, 1, 1, 60, 60) == 0).all()


def test_wide_tiles_make_a_squarish_page_and_large_ones_are_not_shrunk() -> None:
    assert grid(noise(16, 60, 240, 3)).size == (2 * 242 + 2, 8 * 62 + 2)
    assert grid(noise(2, 1000, 1000, 3)).size == (2006, 1004)
    assert max(grid(noise(400, 28, 28, 1)).size) <= 1600


def test_columns_are_never_more_than_the_images() -> None:
    assert grid(noise(2, 600, 60, 3)).width == 2 * 62 + 2


def test_transparency_shows_a_light_checkerboard() -> None:
    images = np.zeros((1, 64, 64, 4), np.uint8)
    images[0, :32, :, 3] = 255
    shown = tile(np.asarray(grid(images)), 0, 0, 64, 64)
    assert (shown[:32] == 0).all()
    assert set(np.unique(shown[32:])) == {232, 255}


@pytest.mark.parametrize(
    "images", [np.zeros((1, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_anything_else_is_refused_with_a_remedy(images: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"uint8 \(N, H, W, C\)"):
        grid(images)


def test_save_grid_writes_what_grid_returns_and_leaves_nothing_else(tmp_path: Path) -> None:
    images = noise(6, 28, 28, 3)
    save_grid(tmp_path / "new" / "g.png", images)
    with Image.open(tmp_path / "new" / "g.png") as read:
        np.testing.assert_array_equal(np.asarray(read), np.asarray(grid(images)))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["g.png"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_grid(tmp_path / "g.png", noise(1, 8, 8, 3))
    before = (tmp_path / "g.png").read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_grid(tmp_path / "g.png", noise(2, 8, 8, 3))
    assert [p.name for p in tmp_path.iterdir()] == ["g.png"]
    assert (tmp_path / "g.png").read_bytes() == before


def test_a_contact_sheet_is_a_strip_of_text_above_the_grid(tmp_path: Path) -> None:
    images = noise(4, 120, 120, 3)
    contact_sheet(tmp_path / "s.png", images, "four pictures that the critic believed in, after many steps")
    with Image.open(tmp_path / "s.png") as read:
        page = np.asarray(read)
    plain = np.asarray(grid(images))
    height = len(page) - len(plain)
    np.testing.assert_array_equal(page[height:], plain)
    strip = page[:height]
    assert strip.min() < 100
    assert height > 50, "a title longer than the grid is wrapped"
    assert (strip[:, -3:] == 255).all(), "no letter is cut off at the right"


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "RGBA")])
def test_single_pictures_are_exact_and_numbered(tmp_path: Path, channels: int, mode: str) -> None:
    images = noise(3, 5, 7, channels)
    save_pictures(tmp_path, images, start=8)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000008.png", "000009.png", "000010.png"]
    with Image.open(tmp_path / "000009.png") as read:
        assert read.mode == mode
        expected = images[1] if channels > 2 else images[1, ..., 0]
        np.testing.assert_array_equal(np.asarray(read), expected)


def frames_of(folder: Path, count: int, side: int = 32, *, plain: bool = True) -> list[tuple[Path, str]]:
    """Captioned frames: plain of grey 0, 1, 2 ... (so that a frame tells its number), or of noise."""
    folder.mkdir(exist_ok=True)
    for i in range(count):
        pixels = np.full((side, side, 3), i, np.uint8) if plain else noise(side, side, 3, seed=i)
        Image.fromarray(pixels).save(folder / f"{i:04d}.png")
    return [(path, f"{i}") for i, path in enumerate(sorted(folder.iterdir()))]


def read_gif(path: Path) -> tuple[list[np.ndarray], list[int]]:
    shown, durations = [], []
    with Image.open(path) as gif:
        for i in range(getattr(gif, "n_frames", 1)):
            gif.seek(i)
            shown.append(np.asarray(gif.convert("RGB")))
            durations.append(gif.info["duration"])
    return shown, durations


def test_a_gif_holds_the_frames_in_order_and_pauses_on_the_last(tmp_path: Path) -> None:
    animate(tmp_path / "p.gif", frames_of(tmp_path / "f", 20))
    shown, durations = read_gif(tmp_path / "p.gif")
    assert [int(frame[-1, 0, 0]) for frame in shown] == list(range(20))
    assert durations == [400] * 19 + [2400]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "p.gif"]


def test_too_many_frames_are_thinned_evenly_with_first_and_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MOST_FRAMES", 5)
    animate(tmp_path / "p.gif", frames_of(tmp_path / "f", 200))
    shown, _ = read_gif(tmp_path / "p.gif")
    numbers = [int(frame[-1, 0, 0]) for frame in shown]
    assert numbers[0] == 0 and numbers[-1] == 199
    np.testing.assert_allclose(np.diff(numbers), 199 / 4, atol=1)


@pytest.mark.parametrize("limit", [400_000, 60_000])
def test_a_gif_of_noise_never_exceeds_the_limit(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MOST_BYTES", limit)
    animate(tmp_path / "p.gif", frames_of(tmp_path / "f", 40, 128, plain=False))
    shown, _ = read_gif(tmp_path / "p.gif")
    assert limit / 4 < (tmp_path / "p.gif").stat().st_size <= limit
    assert (shown[0].shape[1] == 128) == (limit == 400_000), "frames are thinned first, made smaller last"
    assert len(shown) >= 16


def test_smaller_frames_are_padded_with_white(tmp_path: Path) -> None:
    frames = frames_of(tmp_path / "a", 1, 10) + frames_of(tmp_path / "b", 2, 30)[1:]
    animate(tmp_path / "p.gif", frames)
    shown, _ = read_gif(tmp_path / "p.gif")
    assert shown[0].shape == shown[1].shape and shown[0].shape[1] == 30
    picture = shown[0][-30:]
    assert (picture[:10, :10] == 0).all() and (picture[10:] == 255).all() and (picture[:, 10:] == 255).all()


def test_captions_stand_in_a_strip_above_the_pictures(tmp_path: Path) -> None:
    paths = [path for path, _ in frames_of(tmp_path / "f", 3, 100)]
    animate(tmp_path / "p.gif", list(zip(paths, ["step 0", "step 500", "step 1,000"], strict=True)))
    shown, _ = read_gif(tmp_path / "p.gif")
    assert {frame.shape for frame in shown} == {shown[0].shape}
    height = shown[0].shape[0] - 100
    assert height > 15
    for i, frame in enumerate(shown):
        assert (frame[height:, :100] == i).all()
        assert frame[:height].min() < 100 and frame[0].min() == 255


def test_transparent_frames_are_shown_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "t.png")
    animate(tmp_path / "p.gif", [(tmp_path / "t.png", "")])
    assert (read_gif(tmp_path / "p.gif")[0][0] == 255).all()


def test_a_broken_frame_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(WganError, match=r"broken\.png cannot be read"):
        animate(tmp_path / "p.gif", [(tmp_path / "broken.png", "")])


def test_a_short_animation_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, encode = list[int](), pictures._encode

    def counted(frames: Sequence[tuple[Path, str]], count: int, scale: float) -> bytes:
        counts.append(count)
        return encode(frames, count, scale)

    monkeypatch.setattr(pictures, "_encode", counted)
    for number in (3, 9):
        animate(tmp_path / "p.gif", frames_of(tmp_path / str(number), number))
    assert counts == [3, 6, 9]


def test_an_animation_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no frames; give at least one picture"):
        animate(tmp_path / "p.gif", [])
