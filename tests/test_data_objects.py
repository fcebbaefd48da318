"""Objects that hand out items: pictures, tensors, arrays, mappings, with labels or without."""

from array import array
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import wgan
from toolbox import BYTES, GREY, Listed, pixels
from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.samples import Vectors
from wgan.errors import UsageError, WganError

CHW = torch.from_numpy(BYTES).permute(0, 3, 1, 2)
KINDS: dict[str, list[Any]] = {
    "pil": [Image.fromarray(image) for image in BYTES],
    "arrays": list(BYTES),
    "tensors": list(CHW),
    "unit tensors": list(CHW / 255),
    "symmetric tensors": list(CHW / 127.5 - 1),
    "grey arrays": list(GREY),
}


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_objects_with_items(kind: str, labelled: bool) -> None:
    items = KINDS[kind]
    data = open_data(Listed([(x, n % 2) for n, x in enumerate(items)] if labelled else items), DataConfig())
    np.testing.assert_array_equal(pixels(data), GREY[..., None] if "grey" in kind else BYTES)
    assert data.report.classes == ({"0": 10, "1": 10} if labelled else {})
    assert data.name == "Listed"


def test_items_that_are_vectors_and_torch_data_sets() -> None:
    points = torch.randn(50, 3)
    vectors = open_data(torch.utils.data.TensorDataset(points, torch.arange(50) % 2), DataConfig())
    assert vectors.shape == (3,)
    assert vectors.report.classes == {"0": 25, "1": 25}
    assert open_data(torch.utils.data.TensorDataset(CHW), DataConfig()).shape == (3, 6, 5)


MAPPINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the usual names": ({"image": 0, "label": 1}, {"image": Image.fromarray}),
    "an array": ({"img": 0, "y": 1}, {"img": np.asarray}),
    "a tensor": ({"pixels": 0, "target": 1}, {"pixels": lambda x: torch.from_numpy(x).permute(2, 0, 1)}),
    "lists": ({"x": 0, "class": 1}, {"x": lambda x: x.tolist()}),
    "the only picture": ({"photo": 0, "x": 1, "labels": 1, "box": 2}, {"photo": Image.fromarray}),
    "a picture and a mask": ({"mask": 3, "image": 0, "label": 1}, {"image": np.asarray}),
    "a caption before the class": ({"image": 0, "label": 4, "y": 1}, {"image": np.asarray}),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_items_that_are_mappings(name: str) -> None:
    keys, how = MAPPINGS[name]
    items = []
    for n, image in enumerate(BYTES):
        values: list[Any] = [image, n % 2, np.zeros(4), np.zeros((6, 5), np.uint8), None]
        items.append({key: how.get(key, lambda x: x)(values[which]) for key, which in keys.items()})
    data = open_data(Listed(items), DataConfig())
    np.testing.assert_array_equal(pixels(data), BYTES)
    assert data.report.classes == {"0": 10, "1": 10}


def test_items_that_are_mappings_of_vectors_or_have_no_class() -> None:
    data = open_data(Listed([{"x": np.full(3, n), "label": str(n % 2)} for n in range(9)]), DataConfig())
    assert (data.shape, data.report.classes) == ((3,), {"0": 5, "1": 4})
    assert open_data(Listed([{"image": image, "label": 0.5} for image in BYTES]), DataConfig()).report.classes == {}


class Counting(Listed):
    """Counts how often each item is read."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.reads = [0] * len(items)

    def __getitem__(self, number: int) -> Any:
        self.reads[number] += 1
        return super().__getitem__(number)


def test_items_are_read_once_and_64_of_them_once_more() -> None:
    """The first is also read to see what it is."""
    few, many = Counting(list(GREY / 255)), Counting(list(GREY / 255) * 10)
    open_data(few)
    assert few.reads == [3] + 19 * [2]
    open_data(many)
    assert many.reads[0] == 3 and sorted(many.reads[1:]) == 136 * [1] + 63 * [2]
    vectors = Counting(list(GREY.reshape(20, -1) / 255))
    open_data(vectors)
    assert vectors.reads == [2] + 19 * [1]


class Failing(Listed):
    def __getitem__(self, number: int) -> Any:
        raise RuntimeError("the disk is away")


OBJECTS: dict[str, tuple[Any, str]] = {
    "number": (3, "is of type int"),
    "mapping": ({0: BYTES}, "is of type dict"),
    "empty": (Listed([]), "no items"),
    "text": (Listed(["a", "b"]), "item 0 .* is a str"),
    "failing": (Failing([1]), "item 0 .*the disk is away"),
    "channels": (Listed([np.zeros((5, 5, 2))]), "not 1, 3 or 4 channels"),
    **{
        f"a picture and {d} axes": (
            Listed([np.zeros((8, 8)), np.zeros((2,) * d)]),
            r"item 1 .* has shape \(.*, and is no picture as others are",
        )
        for d in (1, 4)
    },
    "ragged": (Listed([np.zeros(3), np.zeros(4)]), "different shapes"),
    "nan": (Listed([torch.zeros(1, 4, 4), torch.full((1, 4, 4), torch.nan)]), "item 1 .*NaN"),
    "range": (
        Listed([torch.rand(1, 4, 4)] * 99 + [torch.full((1, 4, 4), 9.0)] + [torch.rand(1, 4, 4)] * 99),
        "item 99 ",
    ),
}


class Stream(Listed):
    def __len__(self) -> int:
        raise TypeError("this is a stream")


SPARSE = torch.eye(8).to_sparse()
MASKED = np.ma.masked_greater(GREY, 200)
OBJECTS |= {
    "masked pictures": (MASKED, "^some samples have masked values; fill them in, or remove those samples.$"),
    "masked vectors": (MASKED.reshape(20, -1), "^some samples have masked values"),
    "masked items": (Listed([GREY[1], MASKED[0]]), "^item 1 of .* has masked values; fill them in, or remove it.$"),
    "sparse": (SPARSE, r"^the tensor cannot .*: the tensor is sparse; make it dense first, with \.to_dense\(\)\.$"),
    "sparse items": (Listed([SPARSE, SPARSE]), "^item 0 of .* cannot become an array: the tensor is sparse"),
    "no picture": (
        Listed([{"text": "a", "label": 1}]),
        "^item 0 of .* has the keys 'text', 'label'; one picture or array",
    ),
    "two pictures": (Listed([{"a": GREY, "b": GREY, "x": [1, 2]}]), "^item 0 .* 'a', 'b', 'x'; .* img, pixels or x.$"),
    "a mask": (Listed([{"image": [[1, 2], [3, 4]], "mask": GREY}]), "^item 0 .* has the keys 'image', 'mask';"),
    "no keys": (Listed([{}]), r"has the keys \(none\)"),
    "a name": (Listed([{"image": "1.png"}]), "has the keys 'image'"),
    "ragged lists": (Listed([{"image": [[1], [1, 2]]}]), "item 0 .* is a list, but items are"),
    "no length": (Stream([1]), r"^the Stream object has no length \(this is a stream\); make it an array or a list"),
}


def test_an_array_that_could_have_masked_values_but_has_none_is_an_array() -> None:
    np.testing.assert_array_equal(pixels(open_data(np.ma.masked_array(GREY), DataConfig()))[..., 0], GREY)
    np.testing.assert_array_equal(pixels(open_data(Listed(list(np.ma.masked_array(GREY)))))[..., 0], GREY)


def test_a_matrix_is_an_array() -> None:
    own = np.random.default_rng(3).normal(3, 2, (60, 4))
    data, plain = open_data(own.view(np.matrix)), open_data(own)
    assert isinstance(data.train, Vectors)
    assert data.shape == (4,) and data.content == plain.content
    np.testing.assert_array_equal(data.train.in_own_units(torch.arange(54)), own[plain.train.rows])


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_that_cannot_be_used(name: str) -> None:
    source, message = OBJECTS[name]
    with pytest.raises(WganError, match=message):
        open_data(source, DataConfig())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_no_samples(kind: type) -> None:
    with pytest.raises(UsageError, match=r"data is of type .*must be a name, a path, an array"):
        open_data(kind(b"photos/"))


class Table:
    """As of pandas: its items are columns, and its array has rows."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def to_numpy(self) -> np.ndarray:
        return self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: int) -> np.ndarray:
        return self.rows[:, column]


def test_a_table_is_read_by_its_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 40))
    assert wgan.open_data(Table(rows)).shape == (40,)


def test_pairs_of_numbers_are_points_and_a_number_may_have_a_class() -> None:
    x, y = torch.rand(20), torch.rand(20)
    assert wgan.open_data(TensorDataset(x, y)).shape == (2,)
    classes = wgan.open_data(TensorDataset(x, torch.arange(20) % 2))
    assert classes.shape == (1,) and len(classes.report.classes) == 2


def test_single_numbers_in_a_list_are_vectors_as_those_of_an_array_are() -> None:
    numbers = [0.5 * k for k in range(20)]
    for given in (numbers, array("d", numbers), np.array(numbers)):
        data = open_data(given, DataConfig())
        assert data.shape == (1,) and data.report.value_range == (0.0, 9.5)
    assert wgan.distance(numbers, array("d", [number + 1 for number in numbers])).value == pytest.approx(1.0)


def test_tensors_that_numpy_has_no_place_for_are_read_or_refused_in_words() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    mirrored = torch.imag(torch.conj(torch.tensor(x + 1j * x)))
    narrow = torch.tensor(x).to(torch.float8_e4m3fn)
    for tensor, known in ((mirrored, -x), (narrow, narrow.double().numpy())):
        assert wgan.distance(tensor, known, method="exact").value == 0
        data = open_data(tensor, DataConfig())
        assert data.report.value_range == pytest.approx((known.min(), known.max()))
    empty = torch.empty(20, 2, device="meta")
    with pytest.raises(UsageError, match="the tensor cannot become an array: Cannot copy out of meta tensor"):
        open_data(empty, DataConfig())
    with pytest.raises(UsageError, match="the samples cannot become an array: Cannot copy"):
        wgan.distances.samples.rows(empty)
