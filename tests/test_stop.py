"""What asks a run to stop, and that it is saved whoever listens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from toolbox import SMALL, Interrupter, blobs, small_config
from wgan import loop, options
from wgan.errors import Stopped, WganError
from wgan.loop import stop
from wgan.loop.gallery import Gallery
from wgan.run import Run

pytestmark = pytest.mark.usefixtures("empty_drawings")


def long_run(tmp_path: Path) -> list[str]:
    """The command line of a run that only a signal ends."""
    np.save(tmp_path / "blobs.npy", blobs())
    flags = [f"{options.flag(name)}={value}" for name, value in {**SMALL, "steps": 10**6}.items()]
    return [sys.executable, "-m", "wgan", "train", "blobs.npy", "--out=r", *flags]


def wait_for_records(run: Run, number: int = 1) -> None:
    deadline = time.monotonic() + 100
    while len(run.records()) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(run.records()) >= number


class Deaf(Interrupter):
    """Cannot say that it stops."""

    def note(self, text: str) -> None:
        raise OSError(5, "Input/output error")


def test_a_run_is_saved_before_it_says_that_it_stops(tmp_path: Path) -> None:
    with pytest.raises(WganError, match=r"Input/output error; fix that, and go on with: wgan resume"):
        loop.train(small_config(), source=blobs(600), out=tmp_path / "r", view=Deaf(5))
    assert Run(tmp_path / "r").restore()[1]["step"] == 5


def test_a_run_outlives_its_reader_and_is_saved_at_ctrl_c(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    run, command = Run(tmp_path / "r"), long_run(tmp_path)
    with subprocess.Popen(command, cwd=tmp_path, stderr=writer, stdout=subprocess.DEVNULL) as child:
        os.close(writer)
        wait_for_records(run)
        os.close(reader)  # as Ctrl-C ends the tee of a pipeline too
        wait_for_records(run, len(run.records()) + 2)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=100) == 130
    assert run.summary["status"] == "interrupted" and run.restore()[1]["step"] == run.summary["steps"]


class Repeating(Interrupter):
    """Hears the signal again, in the step after the first one, as systemd and launchers send it."""

    def __init__(self, step: int, *numbers: int) -> None:
        super().__init__(step)
        self.numbers = numbers

    def step(self, share: float, step: int) -> None:
        if step == self.at:
            for number in self.numbers:
                signal.raise_signal(number)


TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize("numbers", [(TERM, TERM), (INT, INT), (TERM, INT, TERM), (INT, TERM, TERM)])
def test_signals_that_come_together_ask_once(numbers: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(Stopped) as asked:
        loop.train(small_config(), source=blobs(600), out=tmp_path / "r", view=Repeating(5, *numbers))
    assert asked.value.signal == numbers[0] and Run(tmp_path / "r").restore()[1]["step"] == 5


def test_only_another_ctrl_c_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "_ONE_KEYSTROKE", -1.0)  # as if each came a second later
    for numbers in ((TERM, TERM, TERM), (INT, TERM), (TERM, INT)):
        with stop.Stop() as asked:
            for number in numbers:
                signal.raise_signal(number)
        assert asked.signal == numbers[0]
    with pytest.raises(KeyboardInterrupt), stop.Stop():
        signal.raise_signal(INT)
        signal.raise_signal(INT)


class Impatient(Interrupter):
    """Presses Ctrl-C again when it hears that all is saved."""

    def note(self, text: str) -> None:
        if "all is saved" in text:
            signal.raise_signal(INT)


def test_a_run_that_is_stopped_at_once_is_not_called_killed_and_says_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "_ONE_KEYSTROKE", -1.0)
    with pytest.raises(Stopped, match=r"^stopped at once; what was saved last goes on with: wgan resume .*r$") as asked:
        loop.train(small_config(), source=blobs(600), out=tmp_path / "r", view=Impatient(5))
    run = Run(tmp_path / "r")
    assert asked.value.signal == INT and run.summary["status"] == "interrupted" and run.restore()[1]["step"] == 5


def test_a_run_that_is_stopped_while_it_draws_its_end_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(gallery: Gallery) -> None:
        if gallery.trainer.step == SMALL["steps"]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("wgan.loop.writer.Gallery._animation", stopped)
        with pytest.raises(Stopped, match="stopped at once"):
            loop.train(small_config(), source=blobs(), out=tmp_path / "r")
    run = Run(tmp_path / "r")
    assert run.summary["status"] == "training" and run.restore()[1]["step"] == SMALL["steps"]
    assert loop.resume(run, {}, source=blobs()).summary["status"] == "finished"
    assert (run.folder / "progress.gif").is_file()


def test_a_hang_up_that_is_to_be_ignored_does_not_stop(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = loop.train(small_config(), source=blobs(), out=tmp_path / "r", view=Interrupter(5, signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert run is not None and run.summary["status"] == "finished"
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(Stopped):
            loop.train(small_config(), source=blobs(), out=tmp_path / "s", view=Interrupter(5, signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_the_launcher_of_processes_ignores_it_too(tmp_path: Path) -> None:
    run, command = Run(tmp_path / "r"), ["nohup", *long_run(tmp_path), "--processes=2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=tmp_path, **quiet) as child:
        wait_for_records(run)
        child.send_signal(signal.SIGHUP)
        wait_for_records(run, len(run.records()) + 2)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=100) == 143
    assert run.summary["status"] == "interrupted"


INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(("moments", "at_once"), [((0.0, 0.5, 0.9), False), ((0.0, 0.6, 1.2), True)])
def test_the_second_is_counted_from_the_first_ctrl_c(
    moments: tuple[float, ...], at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    with monkeypatch.context() as patched, stop.Stop() as asked:
        patched.setattr(stop.time, "monotonic", lambda: now[0])
        for now[0] in moments[:-1]:
            signal.raise_signal(INT)
        now[0] = moments[-1]
        if at_once:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(INT)
        else:
            signal.raise_signal(INT)
    assert asked.signal == INT


def test_who_listened_before_listens_again() -> None:
    before = {number: signal.getsignal(number) for number in (INT, TERM)}
    with stop.Stop():
        assert all(signal.getsignal(number) != handler for number, handler in before.items())
    assert {number: signal.getsignal(number) for number in (INT, TERM)} == before
