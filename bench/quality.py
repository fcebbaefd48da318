"""How good the pictures are after how much training, ours against the textbook loop.

The textbook side is bench/textbook.py at the settings of the scripts: perceptrons (100-128-256-512-1024-picture with
batch norm, picture-512-256-1), Adam 2e-4 with betas (0.5, 0.999), weight 10, 5 critic steps, batches of 64; samples
come from its generator as the scripts draw them, in training mode in batches of 64. Our side is a preset, trained as
`wgan train` does it, in memory that is kept, its records with their catching up included; samples come from the
averaged generator, as `wgan sample` gives them.

At checkpoints of training time (what scoring takes is not counted) 10,000 samples, rounded to 8 bits, are compared with
the test split by the Frechet distance of features, and by precision and recall (balls to the third neighbour); the
features are those of a small classifier of the data, or of EfficientNet-Lite0 where there are no labels. Then: how good
the textbook was at its end, when ours was as good (between checkpoints: linear in the logarithm of the distance; never
before the first), and the ratio of the times.

For a search of settings: --only ours --trial --set critic_lr=1e-3 --set critic_width=48.
"""

import argparse
import copy
import math
import time
import tomllib
from collections.abc import Callable
from statistics import median
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bench import report, textbook
from bench.features import FeatureMap, feature_map
from bench.report import table
from bench.scores import Score, score
from bench.sheets import open_pictures, title
from wgan import options
from wgan.build import make_trainer, resolve
from wgan.config import Config
from wgan.data.samples import Data, Pictures
from wgan.machine.memory import kept_memory
from wgan.trainer.ledger import DivergedError

MARKS = (5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 420, 600, 900, 1200, 1800, 2700, 3600)
Row = dict[str, float]


class Side(Protocol):
    """A generator that is being trained."""

    steps: int

    @property
    def over(self) -> bool:
        """Whether it has no more steps to take."""

    def advance(self) -> None:
        """Train for a generator step."""

    def sample(self, n: int) -> NDArray[np.uint8]:
        """Pictures (n, H, W, C)."""


class Ours:
    """A preset, trained as `wgan train` does it."""

    def __init__(self, config: Config, data: Data) -> None:
        self.trainer, self.plan = make_trainer(resolve(config, data), data)
        self.data, self.steps = data, 0

    @property
    def over(self) -> bool:
        """Whether a budget of steps is used up; that of time is the bench's."""
        return self.plan.budget.reached(self.steps, 0.0)

    def advance(self) -> None:
        """A generator step, and a record where one is due."""
        self.trainer.advance()
        self.steps = self.trainer.step
        if self.plan.log.due(self.steps):
            self.trainer.record()

    def sample(self, n: int) -> NDArray[np.uint8]:
        """Of the averaged generator."""
        parts = [self.trainer.sample(min(1000, n - start), seed=start) for start in range(0, n, 1000)]
        return np.concatenate([self.data.units.to_user(part) for part in parts])


class Theirs:
    """The textbook loop at its usual settings."""

    over = False

    def __init__(self, data: Data, seed: int, eps: float) -> None:
        torch.manual_seed(seed)
        networks = textbook.MLPGenerator(data.shape, eps), textbook.MLPCritic(data.shape)
        assert isinstance(data.train, Pictures)
        self.loop = textbook.Textbook(*networks, textbook.batches(np.asarray(data.train.images[data.train.rows])))
        self.data, self.steps = data, 0

    def advance(self) -> None:
        """Five critic steps and a generator step."""
        self.loop.advance()
        self.steps += 1

    def sample(self, n: int) -> NDArray[np.uint8]:
        """As the scripts draw: the generator in training mode, its statistics those of each batch."""
        generator, draw = copy.deepcopy(self.loop.generator), torch.Generator().manual_seed(0)
        batches = -(-n // textbook.BATCH)
        with torch.no_grad():
            parts = [generator(torch.randn(textbook.BATCH, textbook.LATENT, generator=draw)) for _ in range(batches)]
        return self.data.units.to_user(torch.cat(parts)[:n])


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own flags."""
    parser.add_argument("--data", default="fashion-mnist", help="what `wgan train` takes, or a folder of sheets")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10.0, help="training time of the textbook loop")
    parser.add_argument("--ours-minutes", type=float, default=3.0, help="training time of ours")
    parser.add_argument("--preset", default="default")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="options over the preset's"
    )
    parser.add_argument("--only", choices=["ours", "textbook"])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--marks", type=float, nargs="+", default=list(MARKS), help="seconds at which to score")
    parser.add_argument("--eps", type=float, default=0.8, help="of the textbook's batch norm; 1e-5 is PyTorch's own")


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Train and score both sides for every seed."""
    base = given(flags, flags.seeds[0])
    data = open_pictures(flags.data, base.data)
    features = feature_map(data)
    print(f"features: {features.about}", flush=True)
    judge, seeds = make_judge(features, data, flags.samples), []
    for seed in flags.seeds:
        found: dict[str, Any] = {"seed": seed}
        if flags.only != "ours":
            theirs = Theirs(data, seed, flags.eps)
            found["textbook"] = follow(theirs, flags.minutes * 60, flags.marks, judge, flags.samples)
        if flags.only != "textbook":
            ours = Ours(given(flags, seed), data)
            with kept_memory():
                found["ours"] = follow(ours, flags.ours_minutes * 60, flags.marks, judge, flags.samples)
        seeds.append(found | compared(found))
        print(f"\n{seed_table(seeds[-1])}", flush=True)
    suffix = "" if flags.preset == "default" else f"-{flags.preset}"
    about = {"features": features.about, "real": data.held_out.size, "options": options.flatten(base)}
    name = f"quality-{title(flags.data)}{suffix}"
    return {"section": name, "settings": report.settings(flags), **about, "seeds": seeds}


def given(flags: argparse.Namespace, seed: int) -> Config:
    """The preset with what is set over it."""
    usual = {"time": f"{max(1.0, flags.ours_minutes * 60):g}s", "seed": seed, "threads": flags.threads, "device": "cpu"}
    return options.make_config(options.preset(flags.preset), usual, dict(_parsed(item) for item in flags.set))


def _parsed(item: str) -> tuple[str, Any]:
    """``name=value``, the value as TOML writes it, or plain text."""
    name, _, value = item.partition("=")
    try:
        return name.replace("-", "_"), tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return name.replace("-", "_"), value


def make_judge(features: FeatureMap, data: Data, most: int) -> Callable[[NDArray[np.uint8]], Score]:
    """What scores pictures against the test split; its real side is computed once."""
    assert data.held_out.size is not None
    real = features(data.units.to_user(data.held_out.batch(torch.arange(min(most, data.held_out.size)))))
    return lambda images: score(real, features(images))


def follow(
    side: Side, seconds: float, marks: list[float], judge: Callable[[NDArray[np.uint8]], Score], samples: int
) -> dict[str, Any]:
    """Train, and score at checkpoints of training time and at the end."""
    spent, rows, ended = 0.0, list[Row](), ""
    for mark in [*(m for m in sorted(marks) if m < seconds), seconds]:
        if rows and spent >= mark:  # the last step took that long
            continue
        began = time.perf_counter()
        try:
            while not side.over and spent + time.perf_counter() - began < mark:
                side.advance()
        except DivergedError as error:
            ended = str(error)
            break
        spent += time.perf_counter() - began
        rows.append({"mark": mark, "seconds": spent, "steps": side.steps, **judge(side.sample(samples))._asdict()})
        print(_line(type(side).__name__, rows[-1]), flush=True)
        if side.over:
            break
    return {"rows": rows, "ended": ended}


def _line(name: str, row: Row) -> str:
    return (
        f"  {name.lower():<8}{row['seconds']:>8.1f} s {row['steps']:>8,.0f} steps   score {row['distance']:>9.3f}"
        f"   precision {row['precision']:.3f}   recall {row['recall']:.3f}"
    )


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """When ours was as good as the textbook at its end, and how many times sooner."""
    if not all(name in found and found[name]["rows"] for name in ("ours", "textbook")):
        return {}
    end = found["textbook"]["rows"][-1]
    reached = time_to_reach(found["ours"]["rows"], end["distance"])
    return {"reached": reached, "ratio": None if reached is None else end["seconds"] / reached}


def time_to_reach(rows: list[Row], goal: float) -> float | None:
    """The first time at which a score was as good, linear in its logarithm between checkpoints; None if never."""
    before: Row | None = None
    for row in rows:
        if row["distance"] <= goal:
            if before is None or before["distance"] == row["distance"]:
                return row["seconds"]
            share = math.log(before["distance"] / goal) / math.log(before["distance"] / row["distance"])
            return before["seconds"] + share * (row["seconds"] - before["seconds"])
        before = row
    return None


def seed_table(found: dict[str, Any]) -> str:
    """The scores of one seed over time."""
    sides = [name for name in ("ours", "textbook") if name in found]
    heads = ["seconds", *(f"{name}: {what}" for name in sides for what in ("distance", "precision", "recall"))]
    by_mark = {name: {row["mark"]: row for row in found[name]["rows"]} for name in sides}
    rows = []
    for mark in sorted({mark for rows_ in by_mark.values() for mark in rows_}):
        cells = [_cells(by_mark[name].get(mark)) for name in sides]
        rows.append([f"{mark:g}", *(cell for three in cells for cell in three)])
    ended = [f"{name}: {found[name]['ended']}\n" for name in sides if found[name]["ended"]]
    return f"Seed {found['seed']}:\n\n{table(heads, rows)}" + "".join(
        f"\n{text}" for text in [*_better_before(found), *ended]
    )


def _better_before(found: dict[str, Any]) -> list[str]:
    """Says so, where the textbook's last score is not its best."""
    if not all(name in found and found[name]["rows"] for name in ("ours", "textbook")):
        return []
    best = min(found["textbook"]["rows"], key=lambda row: row["distance"])
    if best is found["textbook"]["rows"][-1]:
        return []
    reached = time_to_reach(found["ours"]["rows"], best["distance"])
    ours = "ours never was as good" if reached is None else f"ours was as good after {reached:.1f} s"
    return [f"The textbook's best distance was {best['distance']:.3f}, after {best['seconds']:.0f} s; {ours}.\n"]


def _cells(row: Row | None) -> list[str]:
    return [f"{row['distance']:.3f}", f"{row['precision']:.3f}", f"{row['recall']:.3f}"] if row else [""] * 3


def tables(measured: dict[str, Any]) -> str:
    """What came of all seeds, and then each."""
    settings, seeds = measured["settings"], measured["seeds"]
    changed = f" with {', '.join(settings['set'])}" if settings["set"] else ""
    head = (
        f"Frechet distance, precision and recall of {settings['samples']:,} samples against {measured['real']:,} test "
        f"pictures of {title(settings['data'])}, by seconds of training, in the features of {measured['features']}. "
        f"Ours: preset {settings['preset']}{changed}. Textbook: its perceptrons, {settings['eps']:g} being the eps of "
        "batch norm.\n"
    )
    both = [found for found in seeds if "ratio" in found]
    return "\n".join([head, *([_summary(both)] if both else []), *map(seed_table, seeds)])


def _summary(seeds: list[dict[str, Any]]) -> str:
    rows = []
    for found in seeds:
        theirs, ours = found["textbook"]["rows"][-1], found["ours"]["rows"][-1]
        reached = "never" if found["reached"] is None else f"{found['reached']:.1f}"
        times = [f"{theirs['distance']:.3f}", f"{theirs['seconds']:.0f}", reached, _times(found["ratio"])]
        rows.append([f"{found['seed']}", *times, f"{ours['distance']:.3f}", f"{ours['seconds']:.0f}"])
    known = [0.0 if found["ratio"] is None else found["ratio"] for found in seeds]
    rows.append(["median", "", "", "", _times(median(known) or None), "", ""])
    heads = ["seed", "textbook at its end", "after s", "ours as good after s", "times sooner"]
    heads += ["ours at its end", "after s"]
    return table(heads, rows)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}"
