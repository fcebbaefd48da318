"""The pictures of a run: how often, of what, and that they are labelled with the truth."""

import itertools
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from test_presets import built
from toolbox import Interrupter, blobs, small_config, small_run
from wgan import loop
from wgan.errors import Stopped, WganError
from wgan.loop import gallery
from wgan.loop.gallery import Gallery, Sparingly, _grid_side
from wgan.run import Run
from wgan.view import View


def test_redrawing_takes_a_small_share_of_the_time() -> None:
    calls: list[float] = []

    def draw() -> None:
        calls.append(time.monotonic())
        time.sleep(0.01)

    drawn, started = Sparingly(draw), time.monotonic()
    told = 0
    while time.monotonic() - started < 0.5:
        told += drawn()
    assert 1 <= len(calls) <= 4 and told == len(calls)
    before = len(calls)
    assert drawn(now=True)
    assert len(calls) == before + 1
    assert not drawn()  # too early
    assert len(calls) == before + 1
    drawn(now=True)  # however early
    assert len(calls) == before + 2


def test_grids_of_large_pictures_have_fewer_columns() -> None:
    assert [_grid_side(width) for width in (1, 28, 64, 128, 256, 512, 4096)] == [8, 8, 8, 8, 4, 2, 2]


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    told: list[dict[str, object]] = []
    monkeypatch.setattr("wgan.curves.curves", lambda records, path, **words: told.append(words))
    return told


@pytest.mark.parametrize(
    ("constraint", "objective", "arbitrary", "classic"),
    [
        ("gp", "wasserstein", "", False),
        ("lp", "wasserstein", "", False),
        ("clip", "wasserstein", "weight clipping", False),
        ("r1+r2", "wasserstein", "R1 penalty and R2 penalty", False),
        ("gp+r1", "wasserstein", "", False),
        ("none", "minimax", "no constraint", True),
    ],
)
def test_curves_say_when_the_scale_is_arbitrary(
    constraint: str, objective: str, arbitrary: str, classic: bool, tmp_path: Path, labels: list[dict[str, object]]
) -> None:
    small_run(tmp_path / "r", steps=1, constraint=constraint, objective=objective)
    assert labels[-1]["arbitrary_under"] == arbitrary
    assert labels[-1]["classic"] is classic


def test_samples_are_those_of_the_averaged_generator_on_fixed_noise(tmp_path: Path) -> None:
    trainer, config, data = built("tiny-gp", generator_lr=0.03, critic_steps=1, ema_half_life=1000)
    for _ in range(8):
        trainer.advance()
    run = Run.create(config, tmp_path / "r", "x", {})
    first, again = (Gallery(run, trainer, data, config, [], View()) for _ in range(2))
    assert torch.equal(first.latents, again.latents) and len(first.latents) == 64
    first.samples()
    with Image.open(run.sample_path(8)) as picture:
        shown = np.asarray(picture.convert("L"))
    with torch.no_grad():
        outputs = [of(first.latents)[0, 0].numpy() for of in (trainer.average.module, trainer.generator.eval())]
    average, last = (np.rint((output + 1) * 127.5) for output in outputs)
    tile = shown[2 : 2 + 56, 2 : 2 + 56]  # 28 pixels are shown twice as large
    assert np.array_equal(tile[::2, ::2], average)
    assert np.abs(average - last).max() > 10


def test_a_picture_of_every_step_can_be_had(tmp_path: Path) -> None:
    run = loop.train(small_config(steps=5, sample_every="1"), source=blobs(), out=tmp_path / "r")
    assert [int(path.stem) for path in run.sample_paths()] == [0, 1, 2, 3, 4, 5]


class Breaker(View):
    """Empties an early picture, cuts another, and keeps what is said."""

    def __init__(self, run: Run) -> None:
        self.run, self.notes = run, list[str]()

    def step(self, share: float, step: int) -> None:
        if step == 3:
            self.run.sample_path(1).write_bytes(b"")
            whole = self.run.sample_path(2).read_bytes()
            self.run.sample_path(2).write_bytes(whole[: len(whole) // 2])

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_pictures_that_cannot_be_read_are_left_out_and_said_once(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    view = Breaker(run)
    loop.train(small_config(steps=6, sample_every="1"), source=blobs(), out=run.folder, view=view)
    assert run.summary["status"] == "finished"
    with Image.open(run.animation) as shown:
        assert getattr(shown, "n_frames", 1) == 5
    left_out = [note for note in view.notes if "cannot be read" in note]
    assert left_out == [f"{run.sample_path(1)} cannot be read: progress.gif does without such pictures."]


@pytest.mark.parametrize("name", ["_curves", "_animation"])
def test_what_keeps_curves_from_being_drawn_costs_nothing_that_was_due_to_be_saved(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gallery: Gallery) -> None:
        raise OSError(13, "Permission denied", "it")

    monkeypatch.setattr(Gallery, name, fail)
    with pytest.raises(WganError, match="Permission denied; fix that"):
        loop.train(small_config(sample_every="4", save_every="4"), source=blobs(), out=tmp_path / "r")
    assert Run(tmp_path / "r").restore()[1]["step"] == 1  # which makes the first record, picture and save


def frames(run: Run) -> int:
    with Image.open(run.animation) as shown:
        return int(getattr(shown, "n_frames", 1))


def test_a_redraw_that_was_too_early_is_made_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a second at each look: what is due at step 4 is then some seconds early."""
    run, shown = Run(tmp_path / "r"), list[int]()
    monkeypatch.setattr(gallery, "_SHARE", 0.2)
    monkeypatch.setattr(gallery, "time", mock.Mock(monotonic=itertools.count().__next__))

    class Looking(View):
        def step(self, share: float, step: int) -> None:
            shown.extend([frames(run)] if step == 7 else [])

    config = small_config(steps=7, log_every="100", sample_every="100")
    loop.train(config, source=blobs(), out=run.folder, view=Looking())
    assert shown == [3]  # of steps 0, 1 and 4


def test_a_stopped_run_shows_all_its_pictures(tmp_path: Path) -> None:
    run = Run(tmp_path / "r")
    with mock.patch.object(gallery, "_SHARE", 1e-9), pytest.raises(Stopped):
        loop.train(small_config(steps=9, sample_every="1"), source=blobs(), out=run.folder, view=Interrupter(4))
    assert len(run.sample_paths()) == frames(run) == 5


def test_a_picture_after_every_epoch_can_be_had(tmp_path: Path) -> None:
    run = loop.train(small_config(steps=None, epochs=3, sample_every="1epoch"), source=blobs(80), out=tmp_path / "r")
    # 72 of 80 are trained on: 9 batches, 4.5 generator steps an epoch
    assert [int(path.stem) for path in run.sample_paths()] == [0, 1, 4, 5, 10, 14]
