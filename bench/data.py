"""Reading pictures: out of the cache, in how much memory, and how soon there is a picture to look at.

In a temporary folder with a cache of its own the bench writes --files small pictures twice, 28x28 grey PNGs and 64x64
colour JPEGs, and a tenth of the former.

- images/s: batches of 64 out of the warm cache, in random order, as training reads them, in one process;
- memory: the largest RssAnon of `wgan train` on the tenth and on all of them, with a warm cache; it must not grow by
  more than 10 %; and the same on MNIST;
- start: `wgan --help`, and from pressing return to the first grid in samples/, with a warm cache.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from bench import report
from bench.processes import Watched, megabytes, watch
from bench.report import table
from bench.sides import Spread
from wgan import options
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.errors import WganError

BATCH, FLAT = 64, 1.1
STEPS = 10  # of the training whose memory is watched: records, saves and pictures are among them


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own flags."""
    parser.add_argument("--files", type=int, default=100_000, help="pictures of each kind that are written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of reading in each round")
    parser.add_argument("--mnist", type=Path, help="the folder of MNIST's files, where wgan does not find them")


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Write the pictures, and measure."""
    with tempfile.TemporaryDirectory(prefix="wgan-bench-") as name, patch.dict(os.environ, WGAN_CACHE=f"{name}/cache"):
        here = Path(name)
        folders = {
            "tenth": write(here / "tenth", flags.files // 10, (28, 28), "png"),
            "grey": write(here / "grey", flags.files, (28, 28), "png"),
            "colour": write(here / "colour", flags.files, (64, 64, 3), "jpg"),
        }
        print(f"{flags.files:,} pictures of each kind are written", flush=True)
        rates = {kind: reading(folders[kind], flags) for kind in ("grey", "colour")}
        sources: dict[str, list[str]] = {"digits": ["digits"], "a folder": [str(folders["grey"])]}
        sources |= {"a tenth of it": [str(folders["tenth"])], **_mnist(flags.mnist)}
        (here / "runs").mkdir()
        starts = {kind: starting(arguments, here / "runs", flags) for kind, arguments in sources.items()}
        help_ = [watch(["--help"]).seconds for _ in range(flags.rounds)]
    return {"settings": report.settings(flags), "rates": rates, "starts": starts, "help": help_}


def write(folder: Path, count: int, shape: tuple[int, ...], kind: str) -> Path:
    """Write pictures of smooth noise, all different."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(count):
        coarse = rng.integers(0, 256, (4, 4, *shape[2:]), np.uint8)
        Image.fromarray(coarse).resize(shape[1::-1], Image.Resampling.BILINEAR).save(folder / f"{number:06d}.{kind}")
    return folder


def reading(folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds to fill the cache, and images/s out of it."""
    data_options = options.make_config().data
    began = time.perf_counter()
    open_data(folder, data_options)
    filled = time.perf_counter() - began
    opened = open_data(folder, data_options)
    batches = Batches(opened.train, BATCH, seed=0)
    rates, k = [], 0
    for _ in range(flags.rounds):
        began, first = time.perf_counter(), k
        while time.perf_counter() - began < flags.seconds:
            batches[k]
            k += 1
        rates.append((k - first) * BATCH / (time.perf_counter() - began))
    return {
        "shape": list(opened.shape),
        "files": opened.report.count,
        "fill_seconds": filled,
        "images_per_second": rates,
    }


def _mnist(folder: Path | None) -> dict[str, list[str]]:
    """How to train on MNIST, if it is on this machine."""
    given = {} if folder is None else {"data_dir": str(folder)}
    try:
        open_data("mnist", options.make_config(given).data)
    except WganError as error:
        print(f"without mnist: {error}", flush=True)
        return {}
    return {"mnist": ["mnist", *([] if folder is None else ["--data-dir", str(folder)])]}


def starting(source: list[str], runs: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Time to the first picture, several times, a first one to warm up, then the memory of a longer training."""
    found = [_train(source, runs, flags, 1) for _ in range(flags.rounds + 1)][1:]
    print(f"{source[0]}: first picture after {median(w.first or 0 for w in found):.2f} s", flush=True)
    return {"first_picture": [w.first for w in found], "rss_anon": _train(source, runs, flags, STEPS).peak}


def _train(source: list[str], runs: Path, flags: argparse.Namespace, steps: int) -> Watched:
    out = Path(tempfile.mkdtemp(dir=runs))
    arguments = ["train", *source, "--steps", str(steps), "--log-every", str(STEPS), "--quiet", "--out", str(out)]
    seen: Callable[[], bool] = lambda: any((out / "samples").glob("*.png"))  # noqa: E731
    return watch(arguments, awaited=seen, threads=flags.threads)


def tables(measured: dict[str, Any]) -> str:
    """Three tables: reading, memory, starting."""
    rates = [_rate_row(rate) for rate in measured["rates"].values()]
    starts = measured["starts"]
    peaks = {kind: found["rss_anon"] for kind, found in starts.items()}
    growth = peaks["a folder"] / peaks["a tenth of it"]
    rows = [[kind, _seconds(found["first_picture"]), megabytes(peaks[kind])] for kind, found in starts.items()]
    rows.append(["wgan --help", _seconds(measured["help"]), ""])
    return (
        table(["pictures", "files", "cache filled in", "images/s out of it"], rates)
        + "\nTraining, with a warm cache, and the help text; medians, with the least and the most:\n\n"
        + table(["on", "first picture after s", "RssAnon at most"], rows)
        + f"\nTen times the pictures take {growth:.2f} times the memory: {'flat' if growth <= FLAT else 'NOT FLAT'}.\n"
    )


def _rate_row(rate: dict[str, Any]) -> list[str]:
    shape = "x".join(map(str, rate["shape"]))
    return [shape, f"{rate['files']:,}", f"{rate['fill_seconds']:.1f} s", f"{median(rate['images_per_second']):,.0f}"]


def _seconds(values: list[float]) -> str:
    return Spread.of(values).show()
