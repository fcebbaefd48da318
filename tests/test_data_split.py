"""Held out, batches and toys: accidental copies never straddle, and everything random is a pure function."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbox import plain
from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.data.samples import Pictures, Vectors
from wgan.data.split import split
from wgan.errors import UsageError

RNG = np.random.default_rng(0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.floats(0.01, 0.99) | st.integers(1, 60))
def test_both_sides_cover_all_and_share_no_content(contents: list[int], held_out: float) -> None:
    """But for content that is there more than five times: that is discrete, and as many are held out as asked for."""
    digests = np.array(contents, np.uint64)
    if len(set(contents)) > 1 and held_out >= len(contents):
        with pytest.raises(UsageError):
            split(digests, held_out)
        return
    train, held = split(digests, held_out)
    assert len(train) > 0
    assert len(held) > 0
    if len(set(contents)) > 1:
        assert sorted([*train, *held]) == list(range(len(contents)))
        if min(map(contents.count, contents)) > 5:
            assert len(held) == min(
                max(round(held_out * len(contents)) if held_out < 1 else held_out, 1), len(contents) - 1
            )
        assert all(contents.count(each) > 5 for each in set(digests[train]) & set(digests[held]))


@pytest.mark.parametrize(
    ("held_out", "expected"), [(0.1, 1000), (0.25, 2500), (7, 7), (1, 1), (0.00001, 1), (9999, 9999)]
)
def test_how_many(held_out: float, expected: int) -> None:
    digests = RNG.integers(0, 2**63, 10_000).astype(np.uint64)
    train, held = split(digests, held_out)
    assert len(held) == expected
    assert digests[held].max() < digests[train].min()


TABLE = RNG.choice(6, 2000, p=[0.3, 0.1, 0.2, 0.1, 0.1, 0.2])
BARS = np.array([np.unravel_index(n, (2,) * 4) for n in range(16)], np.uint8) * 255
PATTERNS = np.concatenate([np.tile(BARS[:, None], (1, 4, 1)), np.tile(BARS[..., None], (1, 1, 4))])
DISCRETE = {
    "one-hot": np.eye(10)[np.random.default_rng(0).integers(0, 10, 2000)],
    "four binary features": RNG.integers(0, 2, (2000, 4)).astype(float),
    "a 3x2 table": np.stack([TABLE // 2, TABLE % 2], 1),
    "bars and stripes": PATTERNS[RNG.integers(0, 32, 2000)],
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_data_have_all_categories_on_both_sides(name: str) -> None:
    array = DISCRETE[name]
    data = open_data(array, DataConfig())
    train, held = data.train.rows, data.held_out.rows
    assert sorted([*train, *held]) == list(range(2000)) and len(held) == 200
    number = np.unique(array.reshape(2000, -1), axis=0, return_inverse=True)[1].ravel()
    shares = np.bincount(number) / 2000
    found = np.bincount(number[held], minlength=len(shares)) / 200
    # What is drawn without replacement deviates by less than independent draws do.
    assert (np.abs(found - shares) < 5 * np.sqrt(shares / 200)).all()
    assert set(number[train]) == set(number)
    assert [note for note in data.report.notes if "taken as draws of discrete data" in note]


def test_held_out_samples_that_are_trained_on_are_said_to_be() -> None:
    for array, why in ((np.zeros((1, 3)), "there is a single sample"), (np.zeros((20, 3)), "all samples are equal")):
        (note,) = [note for note in open_data(array).report.notes if "held-out numbers say nothing" in note]
        assert note.startswith(why) and "never trained on" not in str(open_data(array).report)
    assert "held out: 2 (never trained on)" in str(open_data(np.eye(20)).report)


def test_the_split_of_discrete_data_does_not_hang_on_the_order() -> None:
    order = RNG.permutation(2000)
    a, b = np.bincount(TABLE[split(TABLE.astype(np.uint64), 0.1)[1]]), TABLE[order].astype(np.uint64)
    assert np.bincount(b[split(b, 0.1)[1]].astype(int)).tolist() == a.tolist()


def test_a_few_copies_of_each_are_accidents_and_official_splits_are_not_noted(tmp_path: Path) -> None:
    for copies in (2, 3, 5):
        several = np.repeat(np.arange(300, dtype=np.uint64) * 7919, copies)
        train, held = split(several, 0.1)
        assert len(held) == 30 * copies and not set(several[train]) & set(several[held])
    np.savez(tmp_path / "x.npz", x_train=DISCRETE["one-hot"][:1500], x_test=DISCRETE["one-hot"][1500:])
    assert not open_data(tmp_path / "x.npz").report.notes


def test_of_one_sample_that_is_there_often_a_share_is_held_out() -> None:
    """A fifth of the pictures are blank, and others are there twice: these stay together."""
    digests = np.r_[np.full(400, 7, np.uint64), np.repeat(RNG.integers(0, 2**64, 800, np.uint64), 2)]
    train, held = (digests[rows] for rows in split(digests, 0.1))
    assert (held == 7).sum() == pytest.approx(40, abs=25) and abs(len(held) - 200) <= 1
    assert not (set(train) & set(held)) - {7}


def test_a_share_is_at_most_ten_thousand_and_official_splits_stay() -> None:
    digests = np.arange(200_000, dtype=np.uint64)
    assert len(split(digests, 0.1)[1]) == 10_000
    train, held = split(digests, 0.1, official=150_000)
    assert (len(train), held[0], len(held)) == (150_000, 150_000, 50_000)
    assert len(split(digests, 100, official=150_000)[1]) == 100
    with pytest.raises(UsageError, match="50000 samples"):
        split(digests, 60_000, official=150_000)


def test_the_split_does_not_hang_on_the_order() -> None:
    images = RNG.integers(0, 256, (200, 4, 4), np.uint8)
    order = RNG.permutation(200)
    a, b = open_data(images, DataConfig()), open_data(images[order], DataConfig())
    assert isinstance(a.held_out, Pictures)
    assert isinstance(b.held_out, Pictures)
    assert set(a.held_out.rows) == set(order[b.held_out.rows])


def test_few_and_equal_samples_are_noted() -> None:
    one = open_data(np.zeros((1, 4, 4), np.uint8), DataConfig())
    assert (one.train.size, one.held_out.size, one.report.count) == (1, 1, 1)
    assert any("held-out numbers say nothing" in note for note in one.report.notes)
    images = RNG.integers(0, 256, (600, 4, 4), np.uint8)
    assert any("only 499" in note for note in open_data(images[:499], DataConfig()).report.notes)
    assert not open_data(images, DataConfig()).report.notes


def numbered(count: int) -> Vectors:
    return plain(np.arange(count, dtype=np.float32)[:, None])


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (12, 4), (5, 5), (1, 1)])
def test_an_epoch_is_a_permutation(count: int, batch: int) -> None:
    batches = Batches(numbered(count), batch, seed=3)
    each = count // batch
    epochs = [torch.cat([batches[e * each + i] for i in range(each)]).flatten() for e in range(4)]
    for epoch in epochs:
        assert len(epoch.unique()) == each * batch
    if count > 5:
        assert not torch.equal(epochs[0], epochs[1])
    assert batches.per_epoch == count / batch


@pytest.mark.parametrize("count", [40, 5])
def test_batches_are_a_pure_function_of_seed_and_number(count: int) -> None:
    samples = Pictures(RNG.integers(0, 256, (count, 2, 3, 3), np.uint8))
    forward = Batches(samples, 8, seed=7, flip=True)
    there = [forward[k].clone() for k in range(20)]
    backward = Batches(samples, 8, seed=7, flip=True)
    for k in reversed(range(20)):
        assert torch.equal(backward[k], there[k])
    assert not torch.equal(Batches(samples, 8, seed=8, flip=True)[0], there[0])
    assert not torch.equal(there[0], there[1])


def test_a_set_smaller_than_a_batch_is_drawn_from() -> None:
    batches = Batches(numbered(3), 64, seed=0)
    counts = torch.stack([batches[k].flatten().long().bincount(minlength=3) for k in range(100)]).sum(0)
    assert (counts - 6400 / 3).abs().max() < 5 * math.sqrt(6400 * 2 / 9)


def test_flip_mirrors_about_half() -> None:
    images = np.zeros((1, 2, 4, 1), np.uint8)
    images[0, 0, 0] = 255
    x = Batches(Pictures(images), 1000, seed=0, flip=True)[0]
    assert x.is_contiguous(memory_format=torch.channels_last)
    left, right = x[:, 0, 0, 0] == 1, x[:, 0, 0, 3] == 1
    assert torch.equal(left, ~right)
    assert abs(int(left.sum()) - 500) < 5 * math.sqrt(250)


def test_vectors_are_not_mirrored() -> None:
    with pytest.raises(UsageError, match="flip mirrors pictures"):
        Batches(numbered(9), 4, seed=0, flip=True)


# The standard deviation per coordinate and the spread around the centres, in closed form.
ROLL = math.sqrt((math.pi**2 * (1.5**2 + 1.5 * 4.5 + 4.5**2) / 3 / 2 + 0.25**2) / 49)
TOYS = {"ring": math.sqrt(1 + 0.04**2), "grid": math.sqrt(1 + 0.04**2), "swissroll": ROLL}


@pytest.mark.parametrize("name", TOYS)
def test_toys_have_the_moments_they_claim(name: str) -> None:
    data = open_data(name, DataConfig())
    x = data.train.batch(torch.arange(200_000)).double()
    root_mean_square = x.square().mean(0).mean().sqrt()
    assert abs(float(root_mean_square) - TOYS[name]) < 0.01
    assert data.shape == (2,)
    assert data.train.size is None
    np.testing.assert_array_equal(data.units.to_user(x[:9].float()), x[:9].float().numpy())


@pytest.mark.parametrize(("name", "count"), [("ring", 8), ("grid", 25)])
def test_toys_visit_every_mode_alike(name: str, count: int) -> None:
    data = open_data(name, DataConfig())
    x = data.train.batch(torch.arange(100_000)).double()
    assert data.modes is not None
    assert data.modes.shape == (count, 2)
    distances, nearest = torch.cdist(x, torch.from_numpy(data.modes)).min(1)
    share = nearest.bincount(minlength=count) / len(x)
    assert (share - 1 / count).abs().max() < 5 * math.sqrt(1 / count / len(x))
    assert abs(float(distances.square().mean()) - 2 * 0.04**2) < 5e-5


@pytest.mark.parametrize("name", TOYS)
def test_toys_are_virtual_arrays(name: str) -> None:
    data = open_data(name, DataConfig())
    index = torch.tensor([5, 0, 2**50, 5])
    x = data.train.batch(index)
    assert torch.equal(x[0], x[3])
    assert torch.equal(x[:1], data.train.batch(index[:1]))
    every = torch.cat([data.train.batch(torch.arange(20_000)), data.held_out.batch(torch.arange(20_000))])
    assert len(every.unique(dim=0)) > 39_990
    batches = Batches(data.train, 16, seed=1)
    assert torch.equal(batches.index(3), batches.index(0) + 48)
    assert not torch.equal(batches[0], Batches(data.train, 16, seed=2)[0])
    assert batches.per_epoch == 4096


@pytest.mark.parametrize("name", TOYS)
def test_toys_refuse_picture_options(name: str) -> None:
    with pytest.raises(UsageError, match="size"):
        open_data(name, DataConfig(size=(8, 8)))


def test_of_an_official_test_split_those_with_the_smallest_digests_are_taken() -> None:
    digests = np.random.default_rng(0).permutation(1000).astype(np.uint64)
    train, held = split(digests, 20, official=600)
    assert sorted(digests[held]) == sorted(digests[600:])[:20] and len(train) == 600
