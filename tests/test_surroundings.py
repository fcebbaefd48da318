"""What a Python program has set in torch neither changes a run nor is changed by one."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch

import wgan
from toolbox import assert_same, small_run, tiny_trainer, vectors
from wgan.run import Run
from wgan.surroundings import undisturbed

SETTINGS = {"steps": 4, "quiet": True, "generator": "mlp", "critic": "mlp", "log_every": "2", "batch": 16}


@pytest.fixture(params=[torch.float64, torch.bfloat16, torch.float16])
def kind(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


def test_a_run_does_not_depend_on_the_default_type(kind: torch.dtype, tmp_path: Path) -> None:
    odd = wgan.train(vectors(), out=tmp_path / "odd", **SETTINGS)
    drawn = odd.generator.sample(3)
    assert torch.get_default_dtype() == kind
    torch.set_default_dtype(torch.float32)
    usual = wgan.train(vectors(), out=tmp_path / "usual", **SETTINGS)
    assert_same(odd, usual)
    np.testing.assert_array_equal(drawn, usual.generator.sample(3))


def test_calls_in_several_threads_give_back_what_was_there_before_the_first(kind: torch.dtype) -> None:
    seen, go = [], threading.Event()

    @undisturbed
    def waiting() -> None:
        seen.append(torch.get_default_dtype())
        go.wait(10)
        seen.append(torch.get_default_dtype())

    threads = [threading.Thread(target=waiting) for _ in range(3)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert torch.get_default_dtype() == kind and seen == [torch.float32] * 6


def test_autocast_outside_is_not_inside(tmp_path: Path) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        run = wgan.train(vectors(), out=tmp_path / "in", **SETTINGS)
    assert_same(run, wgan.train(vectors(), out=tmp_path / "out", **SETTINGS))


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_an_evaluation_may_train_and_measure(off: Callable[[], AbstractContextManager[None]], tmp_path: Path) -> None:
    trainer = tiny_trainer()
    with off():
        run = wgan.train(vectors(), out=tmp_path / "off", **SETTINGS)
        found = wgan.distance(vectors(), vectors() + 1, method="critic", steps=2)
        trainer.advance()
        trainer.record()
    assert_same(run, wgan.train(vectors(), out=tmp_path / "on", **SETTINGS))
    assert found.value > 0 and trainer.step == 1


def test_the_stream_and_the_threads_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    run, threads = small_run(tmp_path / "r", steps=1), torch.get_num_threads()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    wgan.load(run.folder).sample(2)
    wgan.train(vectors(), out=tmp_path / "two", threads=threads + 1, **SETTINGS)
    wgan.resume(Run.open(tmp_path / "two"), vectors(), steps=5, quiet=True)
    assert torch.get_num_threads() == threads
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
