"""What a Python program has set in torch neither changes a run nor is changed by one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import backends, nn
from torch.nn.utils import parametrize

import wgan
from toolbox import assert_same, picture_trainer, small_run, tiny_trainer, vectors
from wgan import figures
from wgan.distances.line import sliced
from wgan.networks import Latent
from wgan.run import Run
from wgan.seeds import seeded
from wgan.surroundings import undisturbed
from wgan.trainer import Trainer

pytestmark = pytest.mark.usefixtures("empty_drawings")

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


def test_lines_and_figures_do_not_depend_on_the_default_type(
    kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, seen = vectors(), vectors() + 1, list[torch.dtype]()
    found = sliced(x, y)
    figure = SimpleNamespace(compute=lambda _: seen.append(torch.get_default_dtype()), draw=lambda _: None)
    monkeypatch.setattr("wgan.figures.lookup", lambda *_: figure)
    figures.make("one")
    assert seen == [torch.float32]
    torch.set_default_dtype(torch.float32)
    assert found == sliced(x, y)


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """A default device on which nothing can be computed, as a GPU that is busy with other things."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device("cpu")


@pytest.mark.usefixtures("elsewhere")
def test_runs_and_distances_do_not_depend_on_the_default_device(tmp_path: Path) -> None:
    odd = wgan.train(vectors(), out=tmp_path / "odd", **SETTINGS)
    found = wgan.distance(vectors(), vectors() + 1, method="critic", steps=2)
    torch.set_default_device("cpu")
    assert_same(odd, wgan.train(vectors(), out=tmp_path / "usual", **SETTINGS))
    assert found.value == wgan.distance(vectors(), vectors() + 1, method="critic", steps=2).value


def test_a_trainer_does_not_depend_on_the_default_device(request: pytest.FixtureRequest) -> None:
    trainer, other = tiny_trainer(flip=False, instance_noise=0.1), tiny_trainer(flip=False, instance_noise=0.1)
    expected = [record["wasserstein"] for record in other.fit(vectors(), steps=4, tick=2)]
    request.getfixturevalue("elsewhere")
    assert [record["wasserstein"] for record in trainer.fit(vectors(), steps=4, tick=2)] == expected


@pytest.mark.parametrize("constraint", ["gp", "r1"])
def test_a_trainer_does_not_depend_on_the_default_type(constraint: str) -> None:
    trainer, other = (picture_trainer(constraint, dropout=0.1, instance_noise=0.1, flip=True) for _ in range(2))

    def trained(trainer: Trainer) -> list[float]:
        trainer.advance(), trainer.advance()
        record = trainer.record()
        return [record[name] for name in ("wasserstein", "wasserstein_heldout", "gradient_norm")]

    expected = trained(other)
    torch.set_default_dtype(torch.float64)
    try:
        assert trained(trainer) == expected
    finally:
        torch.set_default_dtype(torch.float32)


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


def precisions() -> list[str]:
    parts = backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul, backends.mkldnn.conv
    return [part.fp32_precision for part in parts]


@pytest.fixture
def rounded() -> Iterator[None]:
    """As in a program that rounds products for speed; convolutions on a GPU are rounded to TF32 in any."""
    parts = backends.cuda.matmul, backends.mkldnn.matmul
    before = [part.fp32_precision for part in parts]
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")
    for part, precision in zip(parts, before, strict=True):
        part.fp32_precision = precision


SEEN = set[str]()


class Watching(nn.Linear):
    """A critic that notes how precise the products of its passes are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        SEEN.update(precisions())
        with backends.cudnn.flags(enabled=False):  # PyTorch's own remedy for gradient penalties of recurrent layers
            return super().forward(x)


@pytest.mark.usefixtures("rounded")
def test_no_product_of_a_measurement_is_rounded() -> None:
    trainer = Trainer(nn.Linear(2, 6), Watching(6, 1), latent=Latent(2), batch=16, catch_up=0)
    trainer.attach(vectors())
    before = precisions()
    assert "tf32" in before and "bf16" in before
    SEEN.clear()
    trainer.record()
    assert sorted(SEEN) == ["ieee", "none"]
    assert precisions() == before and torch.get_float32_matmul_precision() == "medium" and backends.cudnn.allow_tf32


@pytest.mark.usefixtures("rounded")
def test_a_program_with_the_newer_settings_of_precision_is_measured_and_keeps_them() -> None:
    trainer = tiny_trainer()
    torch.set_float32_matmul_precision("highest")
    backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError):
        torch.get_float32_matmul_precision()
    before = precisions()
    trainer.record()
    assert precisions() == before


def test_measuring_leaves_the_default_type_to_networks_of_your_own() -> None:
    class Turned(nn.Linear):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return super().forward(z) @ torch.eye(6)

    torch.set_default_dtype(torch.float64)
    try:
        trainer = Trainer(Turned(2, 6), nn.Linear(6, 1), latent=Latent(2), batch=16)
        trainer.attach(vectors())
        trainer.advance()
        assert trainer.record()["wasserstein_heldout"] is not None
    finally:
        torch.set_default_dtype(torch.float32)


def test_autocast_outside_is_not_inside(tmp_path: Path) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        run = wgan.train(vectors(), out=tmp_path / "in", **SETTINGS)
    assert_same(run, wgan.train(vectors(), out=tmp_path / "out", **SETTINGS))


@pytest.mark.parametrize("outside", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["gp", "spectral"])
def test_autocast_around_a_trainer_keeps_no_weights_of_before(
    name: str, precision: torch.dtype, outside: torch.dtype
) -> None:
    inside, alone = (picture_trainer(name, precision=precision) for _ in range(2))
    with torch.autocast("cpu", outside, enabled=outside != torch.float32):
        records = [_advanced(inside)]
        drawn = inside.sample(3)
    records.append(_advanced(alone))
    assert records[0] == records[1] and torch.equal(drawn, alone.sample(3))
    for one, other in zip(inside.critic.parameters(), alone.critic.parameters(), strict=True):
        assert torch.equal(one, other)


def _advanced(trainer: Trainer) -> dict[str, Any]:
    for _ in range(3):
        trainer.advance()
    return {name: value for name, value in trainer.record().items() if "second" not in name}


def test_samples_do_not_depend_on_autocast(tmp_path: Path) -> None:
    generator = small_run(tmp_path / "r", steps=1).generator
    with torch.autocast("cpu", torch.bfloat16):
        drawn = generator.sample(8)
    np.testing.assert_array_equal(drawn, generator.sample(8))


def test_threads_that_draw_from_torch_s_stream_do_not_mix() -> None:
    def draw(_: int) -> list[float]:
        found = []
        for index in range(5):
            with seeded(0, "threads", index):
                found.append(float(torch.rand(())))
                time.sleep(0.001)
                found.append(float(torch.rand(())))
        return found

    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(draw, range(8)))
    assert all(each == draw(0) for each in found) and torch.equal(torch.get_rng_state(), before)


def test_a_critic_without_parametrized_weights_keeps_none_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is kept for all modules of all threads."""
    monkeypatch.setattr(parametrize, "cached", lambda: pytest.fail("others' weights are kept"))
    tiny_trainer().advance()


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


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_trainer_may_be_made_and_used_where_nothing_learns(off: Callable[[], AbstractContextManager[None]]) -> None:
    made = tiny_trainer()
    networks, given = (made.generator, made.critic), {"latent": made.latent, "batch": 16}
    with off():
        trainer = Trainer(*networks, **given)
        trainer.attach(vectors())
        trainer.critic_step()
        with trainer.caught_up():
            pass
        assert [record["step"] for record in trainer.fit(vectors(), steps=2, tick=1)] == [1, 2]


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
