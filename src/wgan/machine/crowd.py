"""Whether other programs take the cores that training counts on, and what to do about it.

A step waits for the slowest of its threads, and threads that wait keep their cores busy. So one thread that shares its
core with another program makes all of them slow: two cores that are shared by three can be slower than one.
"""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import torch

_TASKS, _CORES = Path("/proc/self/task"), Path("/proc/stat")
_LONG = 10.0
"""Seconds that are looked at together."""
_MUCH = 0.25
"""How long threads without a core are waited for, as a share of the time, until that matters."""
_ROUND = 0.1
"""What may be missing of a core."""
_MOST_LOOKS = 32
"""After at most so many looks at idle cores more threads are tried; the number doubles each time they turn out not to
be ours."""


class Usage(NamedTuple):
    """What happened between two moments, for each second.

    Attributes:
        busy: Seconds that this process's threads computed, all together.
        waited: Seconds that they could have computed and had no core for it.
        idle: Seconds that the cores which this process may use did nothing, all together.
    """

    busy: float
    waited: float
    idle: float


class Moment(NamedTuple):
    """A reading of the clocks, all in seconds since some moment in the past.

    Attributes:
        wall: That passed.
        busy: That this process's threads computed, all together.
        waited: That each of its threads could have computed and had no core for it, by the thread's number.
        idle: That the cores which this process may use did nothing, all together.
    """

    wall: float
    busy: float
    waited: Mapping[str, float]
    idle: float

    @classmethod
    def now(cls) -> Self | None:
        """As Linux counts them; None on other systems."""
        try:
            idle = sum(_idle(_CORES.read_text(), os.sched_getaffinity(0))) / os.sysconf("SC_CLK_TCK")
            waited = {task.name: seconds for task in _TASKS.iterdir() if (seconds := _seconds_waited(task)) is not None}
        except (OSError, AttributeError, IndexError, ValueError):
            return None
        return cls(time.monotonic(), time.process_time(), waited, idle)

    def since(self, before: Self) -> Usage:
        """What happened since a moment; of threads, to those that are still there."""
        wall = self.wall - before.wall
        waited = sum(seconds - before.waited.get(task, 0.0) for task, seconds in self.waited.items())
        return Usage((self.busy - before.busy) / wall, waited / wall, (self.idle - before.idle) / wall)


def _seconds_waited(task: Path) -> float | None:
    try:
        return int((task / "schedstat").read_text().split()[1]) / 1e9
    except OSError:  # it has ended
        return None


def _idle(table: str, cores: set[int]) -> list[int]:
    """The ticks that cores were idle, from a text as of /proc/stat."""
    names = {f"cpu{core}" for core in cores}
    return [int(fields[4]) for line in table.splitlines() if (fields := line.split()) and fields[0] in names]


def right_number(threads: int, most: int, usage: Usage) -> int:
    """How many threads to take: as many as have cores of their own, where some waited; more again if cores are idle.

    Threads that waited are too many, but not those that cores were found for, as where a process has others besides.

    Args:
        threads: How many there are.
        most: How many there may be.
        usage: What happened, for each second.
    """
    if threads > 1 and usage.waited > _MUCH:
        return min(threads, max(1, threads - math.ceil(usage.waited), int(usage.busy + _ROUND)))
    return min(most, threads + int(usage.idle + _ROUND))


class Crowd:
    """Looks every ten seconds whether all threads have cores.

    Args:
        threads: How many compute, which is the most there may be.
        follows: Whether their number is to change with what other programs leave.
    """

    def __init__(self, threads: int, follows: bool) -> None:
        self.threads, self.follows = threads, follows
        self._taken, self._told = threads, False
        self._quiet, self._enough = 0, 1  # looks at idle cores, and how many it takes to use them
        self._before = Moment.now() if threads > 1 else None

    def __call__(self) -> int | None:
        """Compare threads with free cores, if ten seconds have passed, and set torch's number if this is to follow.

        Returns:
            The smaller number, the first time that one is better; else None.
        """
        if self._before is None or time.monotonic() - self._before.wall < _LONG or (now := Moment.now()) is None:
            return None
        number = right_number(self._taken, self.threads, now.since(self._before))
        self._before = now
        self._quiet = self._quiet + 1 if number > self._taken else 0
        if number == self._taken or (number > self._taken and self._quiet < self._enough):
            return None
        if number < self._taken:  # cores that look idle may not be ours: the next time it takes longer to try
            self._enough = min(2 * self._enough, _MOST_LOOKS)
        if self.follows:
            torch.set_num_threads(number)
            self._taken = number
        told, self._told = self._told, True
        return None if told else number
