"""Arrays, tensors and objects: layouts, number types, ranges, labels, vectors in their own units."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import wgan
from toolbox import BYTES, GREY, SMALL, Listed, pixels
from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.samples import Data, Pictures, Units, Vectors
from wgan.errors import UsageError, WganError

RNG = np.random.default_rng(2)
UNIFORM = np.random.default_rng(1).random((20, 16, 16))


def saved(path: Path, array: NDArray[Any]) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize("form", ["array", "npy", "npz", "tensor"])
@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW"])
def test_layouts(tmp_path: Path, form: str, layout: str) -> None:
    array = {"NHW": GREY, "NHWC": BYTES, "NCHW": np.ascontiguousarray(BYTES.transpose(0, 3, 1, 2))}[layout]
    source: Any = array
    if form == "npy":
        source = saved(tmp_path / "x.npy", array)
    elif form == "npz":
        source = tmp_path / "x.npz"
        np.savez(source, anything=array)
    elif form == "tensor":
        source = torch.from_numpy(array)
    data = open_data(source, DataConfig())
    np.testing.assert_array_equal(pixels(data), GREY[..., None] if layout == "NHW" else BYTES)
    assert data.report.value_range == (0, 255)


def test_one_picture_alone_is_not_read_as_many_narrow_ones() -> None:
    with pytest.raises(
        WganError, match=r"one picture of 16x24 with 3 channels has; many are \(N, H, W, C\).*, 24, 3, 1"
    ):
        open_data(RNG.integers(0, 256, (16, 24, 3), dtype=np.uint8))
    with pytest.raises(WganError, match=r"one picture of 16x24 with 1 channel has"):
        open_data(RNG.integers(0, 256, (16, 24, 1), dtype=np.uint8))
    assert open_data(RNG.integers(0, 256, (16, 3, 3), dtype=np.uint8)).shape == (1, 3, 3)


def test_bytes_that_are_all_nearly_black_are_read_as_other_whole_numbers_or_refused(tmp_path: Path) -> None:
    mask = (GREY > 99).astype(np.uint8)
    np.save(tmp_path / "x.npy", mask)
    for source in (mask, torch.from_numpy(mask), tmp_path / "x.npy"):
        data = open_data(source)
        assert np.array_equal(pixels(data)[..., 0], mask * 255) and data.report.value_range == (0, 1)
    assert wgan.distance(mask, mask.astype(np.int64)).value == pytest.approx(0, abs=1e-6)
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(mask):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{number}.png")
    for few in (tmp_path / "pictures", Listed(list(mask))):
        with pytest.raises(UsageError, match=r"none is above 1, where 255 is white: .*multiply them, as by 255, first"):
            open_data(few)
    assert open_data(np.zeros((9, 4, 4), np.uint8)).report.value_range == (0, 255)


def test_a_path_is_never_the_name_of_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "digits").mkdir()
    for number, image in enumerate(BYTES):
        Image.fromarray(image).save(tmp_path / "digits" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    run = wgan.train(Path("./digits"), out="r", quiet=True, **SMALL | {"steps": 1})
    assert run.config.data.data == str(tmp_path / "digits")


@pytest.mark.parametrize("form", [lambda array: array, torch.from_numpy])
def test_what_becomes_of_the_array_changes_nothing(form: Callable[[Any], Any]) -> None:
    mine = BYTES.copy()
    data = open_data(form(mine))
    mine[:] = 0
    assert np.array_equal(np.sort(pixels(data), axis=None), np.sort(BYTES, axis=None))


def test_a_tensor_is_read_channels_first_when_both_could_be() -> None:
    both = RNG.integers(0, 256, (3, 4, 7, 3), np.uint8)
    assert open_data(torch.from_numpy(both), DataConfig(channels=4)).shape == (4, 7, 3)
    assert open_data(both, DataConfig()).shape == (3, 4, 7)


RANGES: dict[str, tuple[Any, tuple[float, float]]] = {
    "unit": (GREY / 255, (0, 1)),
    "float16": ((GREY / 255).astype(np.float16), (0, 1)),
    "symmetric": (GREY / 127.5 - 1, (-1, 1)),
    "bytes as floats": (GREY.astype(np.float32), (0, 255)),
    "own": (GREY * 3.0 - 300, (-300, 465)),
    "above 1": (GREY / 250, (0, 1.02)),
    "below 0": (GREY / 250 - 0.02, (-0.02, 1)),
    "to 16": (GREY * (16 / 255), (0, 16)),
    "uint16": (GREY.astype(np.uint16) * 257, (0, 65535)),
    "int64": (GREY.astype(np.int64), (0, 255)),
    "bool": (GREY > 99, (0, 1)),
}


@pytest.mark.parametrize("form", ["memory", "npy"])
@pytest.mark.parametrize("name", RANGES)
def test_value_ranges(tmp_path: Path, name: str, form: str) -> None:
    array, expected = RANGES[name]
    data = open_data(saved(tmp_path / "x.npy", array) if form == "npy" else array, DataConfig())
    want = (GREY > 99) * 255 if name == "bool" else GREY
    assert np.abs(pixels(data)[..., 0].astype(int) - want).max() <= (name == "float16")
    assert data.report.value_range == expected
    assert any("black to white" in note for note in data.report.notes)


@pytest.mark.parametrize("name", RANGES)
def test_items_have_the_ranges_of_arrays(name: str) -> None:
    array, expected = RANGES[name]
    report = open_data(Listed(list(array)), DataConfig()).report
    assert (report.value_range, report.range_found) == (expected, name not in ("uint16", "bool"))


def test_what_is_not_read_of_an_archive_of_arrays_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", GREY, GREY)
    assert "not read of it: arr_1." in open_data(tmp_path / "two.npz").report.notes
    np.savez(tmp_path / "one.npz", images=GREY, labels=np.arange(len(GREY)) % 3)
    assert not any("not read" in note for note in open_data(tmp_path / "one.npz").report.notes)


def test_the_order_of_bytes_in_a_file_changes_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", (GREY.astype(np.uint16) * 200).astype(">u2"))
    assert open_data(tmp_path / "x.npy").report.value_range == (0, 65535)


FEW: dict[str, tuple[Any, tuple[int, int]]] = {
    "densities": (UNIFORM / UNIFORM.sum((1, 2), keepdims=True), (0, 1)),  # no cell has more than a hundredth
    "about zero": (GREY / 255 * 0.1 - 0.05, (-1, 1)),
    "about 200": (200 + GREY / 255 * 9, (0, 255)),
    "10 bits in 16": (GREY.astype(np.uint16) * 4, (0, 65535)),
    "12 bits in 16": (GREY.astype(np.uint16) * 16, (0, 65535)),
    "a mask in 16 bits": ((GREY > 99).astype(np.uint16), (0, 65535)),
}


@pytest.mark.parametrize("form", ["memory", "npy", "tensor", "items"])
@pytest.mark.parametrize("name", FEW)
def test_numbers_of_which_few_levels_would_be_left_are_no_pictures(tmp_path: Path, name: str, form: str) -> None:
    array, scale = FEW[name]
    forms = {
        "npy": tmp_path / "x.npy",
        "memory": array,
        "tensor": torch.from_numpy(array),
        "items": Listed(list(array)),
    }
    saved(tmp_path / "x.npy", array)
    with pytest.raises(UsageError) as caught:
        open_data(forms[form])
    levels = math.floor((float(array.max()) - float(array.min())) * 255 / (scale[1] - scale[0])) + 1
    assert str(caught.value).endswith(
        f" has values from {array.min():g} to {array.max():g}, which would keep only {levels} of 256 grey levels from "
        f"{scale[0]} to {scale[1]}; reshape to (N, D) if they are vectors of numbers, or say what is black and white "
        "with --value-range=LOW,HIGH."
    )
    bounds = float(array.min()), float(array.max())
    expected = np.rint((array.astype(float) - bounds[0]) / (bounds[1] - bounds[0]) * 255)
    np.testing.assert_array_equal(pixels(open_data(forms[form], DataConfig(value_range=bounds)))[..., 0], expected)
    assert open_data(array.reshape(len(array), -1)).shape == (array[0].size,)


UNLIKE_FEW: dict[str, Any] = {
    "black": np.zeros((20, 6, 5)),
    "one grey": np.full((20, 6, 5), 0.3),
    "integers that keep all their levels": 200 + GREY.astype(np.int32) // 64,
    "black and white": (GREY > 99).astype(np.float32),
    "17 levels": GREY / 255 * (16.01 / 255),
}


@pytest.mark.parametrize("form", ["memory", "items"])
@pytest.mark.parametrize("name", UNLIKE_FEW)
def test_pictures_that_lose_nothing_by_having_few_levels(name: str, form: str) -> None:
    array = UNLIKE_FEW[name]
    found = pixels(open_data(Listed(list(array)) if form == "items" else array))
    assert len(np.unique(found)) == (17 if name == "17 levels" else len(np.unique(array)))


def test_a_given_range_is_kept_however_few_levels_are_left() -> None:
    dark = GREY / 255 * (4 / 255)
    for source in (dark, torch.from_numpy(dark), Listed(list(dark))):
        data = open_data(source, DataConfig(value_range=(0, 1)))
        np.testing.assert_array_equal(pixels(data)[..., 0], np.rint(dark * 255))


def test_a_given_range_clips_and_says_so() -> None:
    data = open_data(GREY.astype(np.float64), DataConfig(value_range=(100, 200)))
    expected = np.rint((np.clip(GREY, 100.0, 200.0) - 100) * 2.55)
    np.testing.assert_array_equal(pixels(data)[..., 0], expected)
    assert any("clipped" in note for note in data.report.notes)
    dark = open_data(GREY.astype(np.int32) - 5, DataConfig(value_range=(0, 255)))
    assert any(f"{int(GREY.min()) - 5} to " in note and "clipped" in note for note in dark.report.notes)


@pytest.mark.parametrize(
    ("array", "options", "words"),
    [
        (GREY, {"value_range": (0, 255)}, "--value-range: the pictures of .* are bytes, for which it does nothing"),
        (GREY / 255, {"value_range": (1, 0)}, "--value-range: 1,0, but the first must be below the second"),
        (np.zeros((9, 2)), {"size": (4, 4)}, "--size is for pictures"),
        (np.zeros((9, 2)), {"channels": 1}, "--channels is for pictures"),
        (np.zeros((9, 2)), {"flip": True}, "--flip is for pictures"),
        (np.zeros((9, 2)), {"fit": "pad"}, "--fit is for pictures"),
        (GREY, {"held_out": 0}, "--held-out: 0 holds nothing out"),
        (GREY, {"held_out": 2.5}, "--held-out: 2.5 must be a share between 0 and 1 or a whole number"),
        (GREY, {"held_out": 20}, "--held-out: 20, but of 20 samples at least one must be left"),
        (GREY, {"held_out": float("nan")}, "--held-out: nan is not a number"),
    ],
)
def test_options_that_do_not_suit(array: NDArray[Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_data(array, DataConfig(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit": "foo"}, "^--fit: unknown value 'foo'. Known: crop, pad, stretch.$"),
        ({"size": (0, 4)}, "^--size: 0 is too small"),
        ({"size": (8,)}, "^--size: "),
        ({"channels": 2}, "^--channels: unknown value '2'. Known: 1, 3, 4.$"),
        ({"flip": "yes"}, "^--flip: 'yes' is not true or false.$"),
        ({"held_out": "few"}, "^--held-out: 'few' is not a number.$"),
        ({"value_range": (1,)}, "^--value-range: "),
    ],
)
def test_options_that_are_never_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(BYTES, DataConfig(**options))


def test_options_are_taken_as_on_the_command_line() -> None:
    options: dict[str, Any] = {"size": 4, "channels": "1", "held_out": "0.2"}
    data = open_data(BYTES, DataConfig(**options))
    assert (data.shape, data.held_out.size) == ((1, 4, 4), 4)
    numpys: dict[str, Any] = {"size": (np.int64(4), np.int32(4)), "flip": np.bool_(True), "held_out": np.float32(0.2)}
    data = open_data(BYTES, DataConfig(**numpys))
    assert (data.shape[1:], data.held_out.size) == ((4, 4), 4)


BAD: dict[str, tuple[NDArray[Any], str]] = {
    "five axes": (np.zeros((2, 2, 2, 2, 2)), "shape"),
    "two channels": (np.zeros((9, 5, 5, 2)), "1, 3 or 4 channels"),
    "no rows": (np.zeros((0, 5, 5)), "no samples"),
    "no pixels": (np.zeros((5, 0, 5)), "no samples"),
    "text": (np.array(["a", "b"]), "type <U1"),
    "complex": (np.zeros((9, 2), complex), "complex128"),
    "nan pictures": (np.where(np.arange(8)[:, None, None] < 3, np.nan, np.zeros((8, 4, 4))), "3 of the 8"),
    "infinite vectors": (np.where(np.arange(8)[:, None] < 2, np.inf, np.zeros((8, 4))), "2 of the 8"),
}


@pytest.mark.parametrize("form", ["memory", "npy"])
@pytest.mark.parametrize("name", BAD)
def test_arrays_that_are_neither(tmp_path: Path, name: str, form: str) -> None:
    array, message = BAD[name]
    with pytest.raises(WganError, match=message):
        open_data(saved(tmp_path / "x.npy", array) if form == "npy" else array, DataConfig())


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", np.array([{}, []], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(WganError, match="never unpickled"):
            open_data(tmp_path / name, DataConfig())


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"nonsense", b"PK\x03\x04 nonsense"])
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_damaged_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WganError, match="cannot be read"):
        open_data(tmp_path / name, DataConfig())


def test_a_truncated_npy(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npy", BYTES)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(WganError, match="cannot be read"):
        open_data(path, DataConfig())


@pytest.mark.parametrize("name", ["images", "x", "arr_0", "data"])
@pytest.mark.parametrize("label", ["labels", "y"])
def test_npz_names_and_labels(tmp_path: Path, name: str, label: str) -> None:
    labels = np.arange(20) % 12
    np.savez(tmp_path / "x.npz", **{name: BYTES, label: labels, "other": labels})
    data = open_data(tmp_path / "x.npz", DataConfig())
    assert list(data.report.classes) == [str(n) for n in range(12)], "numbers sort as numbers"
    assert data.train.labels is not None
    assert isinstance(data.train, Pictures)
    np.testing.assert_array_equal(data.train.labels, labels[data.train.rows])


def test_npz_without_a_usual_name_or_with_too_few_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=BYTES, b=BYTES)
    with pytest.raises(
        WganError, match=r"arrays a, b, and .* name it images or x or arr_0 or data or x_train"
    ) as caught:
        open_data(tmp_path / "x.npz", DataConfig())
    assert str(caught.value).endswith("np.savez('new.npz', images=...).")
    np.savez(tmp_path / "x.npz", x=BYTES, y=np.arange(3))
    with pytest.raises(WganError, match="20 samples, but labels of shape"):
        open_data(tmp_path / "x.npz", DataConfig())


def test_names_and_labels_in_an_array_cannot_command_the_terminal(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"a\x1b[2J": BYTES, "b": BYTES})
    with pytest.raises(WganError, match=r"arrays a\\x1b\[2J, b, and"):
        open_data(tmp_path / "x.npz", DataConfig())
    np.savez(tmp_path / "x.npz", x=BYTES[:2], y=np.array(["cat\n", "caf\u00e9"]))
    assert sorted(open_data(tmp_path / "x.npz", DataConfig()).report.classes) == ["caf\u00e9", r"cat\n"]
    pairs = Listed([(image, "cat\n") for image in BYTES])
    assert list(open_data(pairs, DataConfig()).report.classes) == [r"cat\n"]


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["pictures", "vectors"])
def test_the_test_split_of_keras_is_held_out(tmp_path: Path, kind: str, axes: int) -> None:
    array = GREY if kind == "pictures" else GREY.reshape(20, -1).astype(np.float64)
    classes = (np.arange(20) % 3).reshape((20,) + (1,) * (axes - 1))
    parts = {"x_test": array[15:], "x_train": array[:15], "y_test": classes[15:], "y_train": classes[:15]}
    np.savez(tmp_path / "x.npz", **parts)
    data = open_data(tmp_path / "x.npz", DataConfig())
    assert (data.report.count, data.report.held_out) == (20, 5)
    assert data.train.rows.tolist() == list(range(15)) and data.held_out.rows.tolist() == list(range(15, 20))
    assert data.held_out.labels is not None
    assert data.held_out.labels.tolist() == (np.arange(15, 20) % 3).tolist()
    if isinstance(data.held_out, Vectors):
        np.testing.assert_array_equal(data.held_out.in_own_units(torch.arange(5)), array[15:])
    else:
        np.testing.assert_array_equal(pixels(data)[data.held_out.rows, ..., 0], array[15:])
    assert open_data(tmp_path / "x.npz", DataConfig(held_out=2)).report.held_out == 2


def test_half_of_what_keras_writes_is_read_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x_train=BYTES, y_train=np.arange(20), x_test=BYTES[:0])
    data = open_data(tmp_path / "x.npz", DataConfig(held_out=4))
    assert (data.report.count, data.report.held_out, len(data.report.classes)) == (20, 4, 20)
    np.savez(tmp_path / "z.npz", x_train=BYTES, labels=np.arange(20))
    assert len(open_data(tmp_path / "z.npz", DataConfig()).report.classes) == 20
    np.savez(tmp_path / "y.npz", x_train=BYTES, y_train=np.arange(20), x_test=BYTES[:3])
    data = open_data(tmp_path / "y.npz", DataConfig())
    assert (data.report.count, data.report.held_out, data.report.classes) == (23, 3, {})


@pytest.mark.parametrize("test", [GREY[:, :4], GREY / 255])
def test_a_test_split_unlike_the_rest_is_refused(tmp_path: Path, test: NDArray[Any]) -> None:
    np.savez(tmp_path / "x.npz", x_train=GREY, x_test=test)
    with pytest.raises(WganError, match=rf"x_train of shape .* but x_test of shape .* {test.dtype}; .*images=\.\.\."):
        open_data(tmp_path / "x.npz", DataConfig())


@pytest.mark.parametrize("labels", [{"y_train": 14, "y_test": 6}, {"y_train": 15, "y_test": 4}])
def test_labels_of_either_split_must_be_as_many_as_its_samples(tmp_path: Path, labels: dict[str, int]) -> None:
    parts = {name: np.zeros(count) for name, count in labels.items()}
    np.savez(tmp_path / "x.npz", x_train=GREY[:15], x_test=GREY[15:], **parts)
    with pytest.raises(WganError, match=r"has \d+ samples in x_t\w+, but labels of shape"):
        open_data(tmp_path / "x.npz", DataConfig())


def test_array_pictures_are_resized_like_others() -> None:
    data = open_data(np.full((10, 40, 20, 3), 77, np.uint8), DataConfig(size=(16, 16), channels=1, fit="stretch"))
    assert data.shape == (1, 16, 16)
    assert (pixels(data) == 77).all()
    assert data.report.sizes == {"40x20": 10}


def test_vectors_are_standardised_and_given_back() -> None:
    own = RNG.normal([5, -300, 0], [0.1, 40, 0], (5000, 3)).astype(np.float32)
    data = open_data(own, DataConfig())
    assert isinstance(data.train, Vectors)
    assert isinstance(data.held_out, Vectors)
    x = data.train.batch(torch.arange(data.train.size or 0)).double()
    torch.testing.assert_close(x.mean(0), torch.zeros(3).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]).double(), atol=1e-4, rtol=0)
    assert any("1 of 3 coordinates" in note for note in data.report.notes)
    units = Units.from_dict(json.loads(json.dumps(data.units.to_dict())))
    given = np.concatenate([units.to_user(data.train.batch(torch.arange(4500))), units.to_user(held(data))])
    order = np.lexsort(given.round(2).T)
    np.testing.assert_allclose(given[order], own[np.lexsort(own.round(2).T)], rtol=1e-3, atol=2e-2)
    torch.testing.assert_close(units.from_user(units.to_user(held(data))), held(data), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [1e-150, 1e-170, 5e-324])
def test_coordinates_that_differ_by_too_little_to_divide_by_are_constant(size: float) -> None:
    own = np.stack([np.arange(1000) % 7 * size, np.arange(1000.0)], 1)
    data = open_data(own, DataConfig())
    assert data.units.scale is not None
    x = data.train.batch(torch.arange(900))
    assert torch.isfinite(x).all() and 0.9 < float(x[:, 1].std()) < 1.1
    if size == 1e-150:
        assert data.units.scale[0] == pytest.approx(2e-150, rel=0.05), "the deviation of 0 to 6 is 2"
        assert 0.9 < float(x[:, 0].std()) < 1.1
    else:
        assert data.units.scale[0] == 0 and not x[:, 0].any()
        assert any("1 of 2 coordinates are constant;" in note for note in data.report.notes)


@pytest.mark.parametrize("value", [7.0, 0.1, -1e12, 123456789.0])
def test_what_is_constant_is_so_in_samples(value: float) -> None:
    own = np.stack([np.full(1000, value), np.arange(1000.0)], 1)
    units = open_data(own, DataConfig()).units
    samples = units.to_user(torch.randn(50, 2))
    assert (samples[:, 0] == (np.float32(value) if value == 0.1 else value)).all() and samples[:, 1].std() > 100
    assert not units.from_user(own)[:, 0].any()
    other = units.from_user(own + np.array([2.0, 0.0]))[:, 0]
    assert other.tolist() == pytest.approx([2.0] * 1000, rel=1e-3), "what varies after all is seen"


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_vectors_far_from_zero_keep_their_digits(dtype: Any) -> None:
    own = (1_700_000_000 + RNG.permutation(1000)[:, None]).astype(dtype)
    data = open_data(own, DataConfig())
    x = data.train.batch(torch.arange(900))
    assert len(x.unique()) == 900
    assert 0.9 < float(x.std()) < 1.1


def test_vectors_of_any_size_that_is_allowed_are_exact_and_larger_ones_are_refused() -> None:
    own = RNG.choice([-1e30, 0.5e30, 1e30], (200, 3))
    data = open_data(own)
    assert isinstance(data.train, Vectors)
    x = data.train.batch(torch.arange(data.train.size)).double()  # rows that are equal are held out together
    np.testing.assert_allclose(x.std(0, correction=0), 1, rtol=1e-6)
    np.testing.assert_allclose(data.units.to_user(x), own[data.train.rows], rtol=1e-6)
    assert np.isfinite(data.units.to_user(1e6 * x)).all()
    with pytest.raises(WganError) as caught:
        open_data(-1.1 * np.abs(own))
    assert str(caught.value) == (
        "the array has absolute values up to 1.1e+30, and at most 1e+30 are allowed, so that what is generated "
        "from them fits into float32; divide them by a power of 10."
    )


def held(data: Data) -> torch.Tensor:
    return data.held_out.batch(torch.arange(data.held_out.size or 0))


def test_units_of_pictures() -> None:
    units = Units.from_dict(json.loads(json.dumps(Units().to_dict())))
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    x = units.from_user(every)
    np.testing.assert_allclose(x[0, 0].numpy(), every[0, ..., 0] / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(units.to_user(x), every)
    assert units.to_user(torch.tensor([[[[-9.0, 9.0]]]])).ravel().tolist() == [0, 255]


def test_data_is_returned_as_it_is() -> None:
    data = open_data(BYTES, DataConfig())
    assert open_data(data, DataConfig()) is data


def test_large_numbers_that_are_all_equal_are_black() -> None:
    data = open_data(np.full((8, 4, 4), 2**63, np.uint64), DataConfig())
    assert float(data.train.batch(torch.arange(2)).max()) == -1


@pytest.mark.parametrize("kind", ["array", "file"])
def test_vectors_are_those_that_were_opened(kind: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    data = open_data(x if kind == "array" else tmp_path / "x.npy", DataConfig())
    before = data.train.batch(torch.arange(4000))
    x *= np.nan
    np.save(tmp_path / "x.npy", x[:5])  # shorter than what is read
    assert torch.equal(data.train.batch(torch.arange(4000)), before)
