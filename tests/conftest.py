"""Every test has a cache folder of its own, and every worker of `pytest -n` cores of its own."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

settings.register_profile("shared cores", deadline=None)
settings.load_profile("shared cores")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("WGAN_CACHE", str(folder))
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> "list[Figure]":
    """The figures that were saved, for a look at their axes."""
    from wgan import curves  # not above: it loads numpy, whose threads are counted before workers know their cores

    figures: list[Figure] = []
    save: Callable[[Figure, Path], None] = curves._save
    monkeypatch.setattr(curves, "_save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


@pytest.fixture
def empty_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and a GIF take longer to make than a small run to train: an empty file says that they were to be."""
    monkeypatch.setattr("wgan.curves.curves", lambda path, records, **words: path.touch())
    monkeypatch.setattr("wgan.pictures.animate", lambda path, frames: path.touch())


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samplers are asked for two thousand samples at a time, where a measurement takes tens of thousands."""
    monkeypatch.setattr("wgan.measure.moves.FOLDS", (400,))
    monkeypatch.setattr("wgan.measure.sides.NUMBERS", 1)


@pytest.fixture
def told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs `wgan distance` in an empty folder: its exit code, standard output and standard error."""
    from wgan.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main(["distance", *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A fixed seed, and one thread of torch: what is computed is the same each time, to the last bit."""
    import torch

    threads = torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_configure() -> None:
    """Keep a worker and its children on their share of the cores: threads that share one wait for each other.

    And let tests send Ctrl-C where a shell started them in the background, in which it is ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and workers and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) :: int(workers)] or cores)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let help texts be renewed after a look at what changed."""
    parser.addoption("--update-snapshots", action="store_true", help="write the help texts anew")
