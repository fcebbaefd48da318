"""Whether training notices that other programs take its cores, and takes fewer threads."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from toolbox import SMALL, blobs
from wgan.machine import crowd
from wgan.machine.crowd import Crowd, Moment, Usage, right_number
from wgan.measure import measure
from wgan.view import View

needs_linux = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")


def rates(busy: float, waited: float = 0.0, idle: float = 0.0) -> Usage:
    return Usage(busy, waited, idle)


@pytest.mark.parametrize(
    ("threads", "most", "happened", "number"),
    [
        (2, 2, rates(1.98, waited=0.01), 2),  # alone
        (2, 2, rates(1.23, waited=0.76), 1),  # three on two cores
        (2, 2, rates(1.0, waited=1.0), 1),  # another of its kind
        (2, 2, rates(1.84, waited=0.15), 2),  # now and then somebody
        (2, 2, rates(1.95, waited=0.6), 2),  # threads of its own wait for each other
        (8, 8, rates(7.1, waited=0.9), 7),
        (8, 8, rates(5.8, waited=2.2), 5),
        (8, 8, rates(4.0, waited=4.0), 4),
        (8, 8, rates(0.6, waited=7.0), 1),  # at least one
        (2, 2, rates(0.8, waited=1.2), 1),
        (64, 64, rates(40.0, waited=0.3), 63),  # small work, and the system's own
        (8, 8, rates(3.0, waited=0.1, idle=5.0), 8),  # small work is nobody's fault
        (1, 2, rates(0.99, idle=0.0), 1),
        (1, 2, rates(0.99, idle=0.89), 1),
        (1, 2, rates(0.99, idle=0.99), 2),
        (1, 1, rates(0.5, waited=0.5, idle=1.0), 1),
        (3, 8, rates(3.0, idle=2.95), 6),
        (3, 4, rates(3.0, idle=2.95), 4),
    ],
)
def test_as_many_threads_as_have_cores(threads: int, most: int, happened: Usage, number: int) -> None:
    assert right_number(threads, most, happened) == number


def test_rates_are_what_lies_between_for_a_second() -> None:
    before = Moment(10.0, 1.0, {"1": 1.0, "2": 50.0}, 2.0)
    assert Moment(14.0, 9.0, {"1": 2.0, "3": 1.0}, 6.0).since(before) == (2.0, 0.5, 1.0), "2 has ended, 3 is new"


def test_idle_ticks_are_those_of_the_cores_that_may_be_used() -> None:
    table = "cpu  9 9 9 900 9\ncpu0 1 2 3 400 5\ncpu1 1 2 3 500 5\ncpu10 1 2 3 7 5\nintr 5 4 3 2 1\n"
    assert crowd._idle(table, {1, 10}) == [500, 7]


@needs_linux
def test_a_thread_that_shares_its_core_is_kept_waiting() -> None:
    mine = os.sched_getaffinity(0)
    core = min(mine)
    loop = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True)\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", loop, str(core)], stdout=subprocess.PIPE)
    try:
        assert other.stdout and other.stdout.readline()
        os.sched_setaffinity(0, {core})
        before, until = Moment.now(), time.monotonic() + 0.5
        while time.monotonic() < until:
            pass
        after = Moment.now()
    finally:
        os.sched_setaffinity(0, mine)
        other.kill()
        other.communicate()
    assert before and after
    happened = after.since(before)
    assert happened.waited > 0.2 and happened.busy < 0.8 and happened.idle < 0.1


class Machine:
    """A clock that jumps, on which other programs leave a share of the cores."""

    def __init__(self, cores: int) -> None:
        self.threads, self.free, self.others, self.set = cores, float(cores), 0.0, list[int]()
        self.now = Moment(0.0, 0.0, {"1": 0.0}, 0.0)

    def pass_by(self, seconds: float) -> None:
        """``free`` cores are there for the threads, and ``others`` idle, which they may not use."""
        busy = min(self.threads, self.free)
        waited = {"1": self.now.waited["1"] + seconds * (self.threads - busy)}
        idle = self.now.idle + seconds * (self.free - busy + self.others)
        self.now = Moment(self.now.wall + seconds, self.now.busy + seconds * busy, waited, idle)

    def set_num_threads(self, number: int) -> None:
        self.threads = number
        self.set.append(number)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(2)
    monkeypatch.setattr(crowd.time, "monotonic", lambda: made.now.wall)
    monkeypatch.setattr(Moment, "now", lambda: made.now)
    monkeypatch.setattr(torch, "set_num_threads", made.set_num_threads)
    return made


def test_threads_follow_what_is_free_and_one_word_is_said(machine: Machine) -> None:
    look, said = Crowd(2, follows=True), []
    for free in (2.0, 1.2, 1.2, 1.2, 2.0, 2.0, 1.2, 1.2):
        machine.free = free
        for _ in range(4):
            machine.pass_by(3.0)
            said.append(look())
    assert machine.set == [1, 2, 1]
    assert [number for number in said if number] == [1]


def test_cores_that_look_idle_and_are_not_to_be_had_are_tried_less_and_less_often(machine: Machine) -> None:
    look, machine.free, machine.others = Crowd(2, follows=True), 1.4, 5.0
    for _ in range(64):
        machine.pass_by(10.0)
        look()
    assert machine.set == [1, 2] * 4 + [1], "after 2, 4, 8 and 16 looks"


def test_threads_that_were_asked_for_stay(machine: Machine) -> None:
    look, machine.free, said = Crowd(2, follows=False), 1.2, []
    for _ in range(5):
        machine.pass_by(12.0)
        said.append(look())
    assert said == [1, None, None, None, None] and not machine.set


def test_a_single_thread_and_other_systems_look_at_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.free = 0.1
    one = Crowd(1, follows=True)
    monkeypatch.setattr(Moment, "now", lambda: None)
    blind = Crowd(2, follows=True)
    machine.pass_by(20.0)
    assert one() is blind() is None and not machine.set


def test_a_system_that_counts_nothing_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(crowd, "_TASKS", tmp_path / "none")
        assert Moment.now() is None
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert Moment.now() is None


@needs_linux
def test_threads_that_end_while_they_are_counted_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "schedstat").write_text("5 3000000000 1")
    monkeypatch.setattr(crowd, "_TASKS", tmp_path)
    now = Moment.now()
    assert now is not None and now.waited == {"2": 3.0}


class Notes(View):
    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(
    ("budget", "follows"),
    [({"time": "60s"}, True), ({"time": "60s", "threads": 2}, False), ({"time": "60s", "steps": 3}, False)],
    ids=str,
)
def test_a_run_says_what_it_does_about_a_crowd(
    budget: dict[str, object], follows: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from wgan import loop, options

    asked = []

    def look(self: Crowd) -> int | None:
        asked.append(self.follows)
        return 1 if len(asked) == 1 else None

    monkeypatch.setattr(Crowd, "__call__", look)
    monkeypatch.setattr("wgan.loop.writer.Gallery", MagicMock())  # pictures take seconds
    small = {name: value for name, value in SMALL.items() if name not in ("steps", "threads")}
    config = options.make_config(small, budget)
    view = Notes()
    monkeypatch.setattr("wgan.schedule.Budget.reached", lambda self, step, seconds: step >= 3)
    run = loop.train(config, source=blobs(), out=tmp_path / "run", view=view)
    assert len(asked) == 3 and set(asked) == {follows}
    (said,) = [note for note in view.notes if "other programs" in note]
    assert ("going on with 1, " in said) == follows
    assert (f"wgan resume {run.folder} --threads 1" in said) != follows


@pytest.mark.parametrize(("budget", "threads"), [({"seconds": 0.5}, 3), ({"steps": 2}, 1)])
def test_a_measurement_by_time_follows_too(
    budget: dict[str, Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = [], []

    class Noted(Crowd):
        def __init__(self, threads: int, follows: bool) -> None:
            made.append((threads, follows))

        def __call__(self) -> None:
            asked.append(self)

    monkeypatch.setattr("wgan.measure.Crowd", Noted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    x = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
    measure(x, x + 1, **budget)
    assert made == [(threads, True)] and asked
