"""How fast `wgan sample` writes pictures, against the generator alone, and in how much memory.

Two generators of the preset default (28x28 grey and 64x64 colour) are trained for two steps. In turns, `wgan sample RUN
-n N -o x.npy` and the bare forward pass of the same generator are timed: batches of 64, the same threads, float32,
evaluation mode, noise drawn beforehand. The command is timed as a person waits for it, and without its start, which is
what a sampling of one block of 64 takes. Memory is the largest RssAnon of the command as N grows a hundredfold; it must
not grow by more than 10 %.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import wgan
from bench import report
from bench.processes import megabytes, watch
from bench.report import table
from bench.sides import in_turns, ratios, seconds_each

BLOCK, FLAT = 64, 1.1
SHAPES = {"28x28": (28, 28, 1), "64x64": (64, 64, 3)}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own flags."""
    parser.add_argument("--number", type=int, default=20_000, help="samples in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="samples, 28x28")


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Train for a moment, and measure."""
    with tempfile.TemporaryDirectory(prefix="wgan-bench-") as name:
        runs = {shape: _run(Path(name) / shape, size) for shape, size in SHAPES.items()}
        speeds = {shape: speed(folder, flags) for shape, folder in runs.items()}
        out = str(Path(name) / "x.npy")
        peaks = {str(n): _sample(runs["28x28"], n, out, flags.threads).peak for n in flags.memory}
    return {"settings": report.settings(flags), "speeds": speeds, "rss_anon": peaks}


def _run(folder: Path, shape: tuple[int, ...]) -> Path:
    pictures = np.random.default_rng(0).integers(0, 256, (256, *shape), np.uint8)
    wgan.train(pictures, out=folder, steps=2, quiet=True)
    return folder


def speed(folder: Path, flags: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of the command, of its start, and of the generator alone for as many samples, round by round."""
    model = wgan.load(folder)
    latents = model.latent.draw(BLOCK, torch.Generator().manual_seed(0))
    blocks, out = -(-flags.number // BLOCK), str(folder / "x.npy")
    sides = (
        lambda: _sample(folder, flags.number, out, flags.threads).seconds,
        lambda: _sample(folder, BLOCK, out, flags.threads).seconds,
        lambda: blocks * seconds_each(lambda: model(latents), blocks),
    )
    whole, start, bare = in_turns(sides, flags.rounds)
    return {"command": whole, "start": start, "bare": bare}


def _sample(folder: Path, n: int, out: str, threads: int | None) -> Any:
    return watch(["sample", str(folder), "-n", str(n), "-o", out], threads=threads or torch.get_num_threads())


def tables(measured: dict[str, Any]) -> str:
    """Speed, then memory."""
    number = measured["settings"]["number"]
    rows = [_row(shape, found, number) for shape, found in measured["speeds"].items()]
    heads = ["pictures", "images/s of the command", "without its start", "of the generator alone", "share of it"]
    peaks = {int(n): peak for n, peak in measured["rss_anon"].items()}
    growth = max(peaks.values()) / peaks[min(peaks)]
    memory = [[f"{n:,}", megabytes(peak)] for n, peak in peaks.items()]
    return (
        f"{number:,} samples into a .npy; the share is that of the rate without the start:\n\n"
        + table(heads, rows)
        + "\n"
        + table(["samples, 28x28", "RssAnon at most"], memory)
        + f"\nMemory grows {growth:.2f} times: {'flat' if growth <= FLAT else 'NOT FLAT'}.\n"
    )


def _row(shape: str, found: dict[str, list[float]], number: int) -> list[str]:
    net = [(number - BLOCK) / (w - s) for w, s in zip(found["command"], found["start"], strict=True)]
    bare = [number / seconds for seconds in found["bare"]]
    rates = (number / median(found["command"]), median(net), median(bare))
    return [shape, *(f"{rate:,.0f}" for rate in rates), ratios(net, bare).show()]
