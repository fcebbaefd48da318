"""One process with two threads against two processes with one thread each, at the same global batch.

`wgan train ... --steps N` runs as a process on pictures of noise, in turns without and with `--processes 2`; the rate
is the mean of images_per_second in its records but the first, which begins before the kernels are chosen. Catching up
is off, so that records cost little. The workloads are the presets dcgan64-gp (64x64x3) and wgan-gp, whose networks are
dcgan (28x28).
"""

import argparse
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bench import report
from bench.processes import watch
from bench.report import table
from bench.sides import Spread, in_turns, ratios
from wgan.run import Run

RECORDS = 3
PICTURES = 2048


class Workload(NamedTuple):
    """A preset, the pictures' (H, W, C), and the generator steps between two records."""

    preset: str
    shape: tuple[int, ...]
    interval: int


WORKLOADS = {"dcgan64": Workload("dcgan64-gp", (64, 64, 3), 5), "dcgan": Workload("wgan-gp", (28, 28, 1), 50)}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own flags."""
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--interval", type=int, help="generator steps between two records, of which there are three")
    parser.add_argument("--one-process", action="store_true", help="leave out the side with two processes")


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Train each workload on both sides in turns."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="wgan-bench-") as name:
        for number, workload in enumerate(flags.only):
            found[workload] = measure(WORKLOADS[workload], Path(name) / str(number), flags)
            print(f"{workload}: images/s {found[workload]}", flush=True)
    return {"settings": report.settings(flags), "rates": found}


def measure(work: Workload, folder: Path, flags: argparse.Namespace) -> dict[str, list[float]]:
    """Images/s of either side, round by round."""
    folder.mkdir()
    np.save(folder / "x.npy", np.random.default_rng(0).integers(0, 256, (PICTURES, *work.shape), np.uint8))
    interval = flags.interval or work.interval
    common = [str(folder / "x.npy"), "--preset", work.preset, "--steps", str(RECORDS * interval), "--quiet"]
    common += ["--log-every", str(interval), "--sample-every", "1000", "--save-every", "1d", "--catch-up", "0"]
    ways = {"1 x 2": ["--threads", "2"], "2 x 1": ["--threads", "1", "--processes", "2"]}
    if flags.one_process:
        ways.pop("2 x 1")
    sides = [lambda way=way: rate(folder, [*common, *way], interval) for way in ways.values()]
    return dict(zip(ways, in_turns(sides, flags.rounds), strict=True))


def rate(folder: Path, arguments: list[str], interval: int) -> float:
    """Images/s of a training, from its steady records."""
    out = Path(tempfile.mkdtemp(dir=folder))
    watch(["train", *arguments, "--out", str(out)])
    steady = [record for record in Run(out).records() if record["step"] > interval]
    return fmean(record["images_per_second"] for record in steady)


def tables(measured: dict[str, Any]) -> str:
    """A line for each workload."""
    rows = []
    for name, rates in measured["rates"].items():
        one, two = rates["1 x 2"], rates.get("2 x 1")
        about = f"{name} (preset {WORKLOADS[name].preset})"
        rest = [Spread.of(two).show(0), ratios(two, one).show()] if two else ["", ""]
        rows.append([about, Spread.of(one).show(0), *rest])
    heads = ["workload", "1 process x 2 threads", "2 processes x 1 thread", "times as fast"]
    return "Images/s, median with the least and the most of the rounds:\n\n" + table(heads, rows)
