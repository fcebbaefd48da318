"""Does the estimate that training prints follow the true distance, and is a critic that overfits found?

python bench/training_estimate.py [--time 3m] [--seeds 0 1 2] [--threads N] [--only default wgan-gp thousand]
                                  [--json FILE]

On Fashion-MNIST, for each seed three trainings of the same time: the preset default, the preset wgan-gp (the
textbook), and default again on only 1,000 of the pictures. Steps that grow geometrically from 10 by a fifth get a
record of their own, beside those of every run, and their average is kept; the time that this takes is not counted.
Ten of them, evenly spread and with the last, are the checkpoints. At each, 5,000 samples of the generator are
compared with 5,000 test pictures that no record looks at, by `wgan.distances.transport.debiased` on pixels in [0, 1].
Samples come from the generator's average, as those of a user and of the records do. The table has Spearman's rank
correlation of that distance over the ten checkpoints with the record's held-out estimate, and with the mean critic loss
since the record before, sign turned.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from wgan import options
from wgan.build import make_trainer, resolve
from wgan.data import open_data
from wgan.data.samples import Data
from wgan.diagnosis import diagnose
from wgan.distances.transport import debiased
from wgan.machine.processor import set_threads
from wgan.seeds import rng
from wgan.trainer import Trainer

CHECKPOINTS, SAMPLES = 10, 5000


def train(preset: str, data: Data, time: str, seed: int, threads: int | None) -> tuple[Trainer, list, dict]:
    """A trained trainer, its records, and the average at the steps that may become checkpoints."""
    flags = {"time": time, "seed": seed, "threads": threads}
    config = resolve(options.make_config(options.preset(preset), flags), data)
    trainer, plan = make_trainer(config, data)
    records, kept, due, extra, over = [], {}, 10.0, 0.0, False
    while not over:
        trainer.advance()
        over, logs = plan.budget.reached(trainer.step, trainer.seconds - extra), plan.log.due(trainer.step)
        began = trainer.seconds
        if logs or over or trainer.step >= due:
            records.append(trainer.record(reset=logs))
            extra += 0.0 if logs else trainer.seconds - began
        if over or trainer.step >= due:
            kept[trainer.step] = {k: v.clone() for k, v in trainer.average.module.state_dict().items()}
            due = max(due * 1.2, trainer.step + 1)
    return trainer, records, kept


def distance(trainer: Trainer, data: Data, weights: dict, seed: int) -> float:
    """The debiased exact distance of a checkpoint's samples to test pictures that no record looks at."""
    trainer.average.module.load_state_dict(weights)
    fakes, draw = trainer.sample(SAMPLES, seed), rng(seed, "fresh pictures")
    seen = torch.cat(trainer._meter.held_out_index)
    others = torch.from_numpy(np.setdiff1d(np.arange(data.held_out.size), seen))
    chosen = others[torch.randperm(len(others), generator=draw)[:SAMPLES]]
    pixels = [(x.flatten(1).double().numpy() + 1) / 2 for x in (fakes, data.held_out.batch(chosen))]
    return debiased(*pixels, seed=seed)


def follow(preset: str, data: Data, flags: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train a preset, and correlate what its records say with the distance."""
    trainer, records, kept = train(preset, data, flags.time, seed, flags.threads)
    findings = [f.name for f in diagnose(records, trainer.constraint) if f.fault]
    steps = np.array(list(kept))[
        np.linspace(0, len(kept) - 1, min(CHECKPOINTS, len(kept))).round().astype(int)
    ].tolist()
    by_step = {record["step"]: record for record in records}
    held_out = [by_step[step]["wasserstein_heldout"] for step in steps]
    loss = [-by_step[step]["critic_loss"] for step in steps]
    exact = [distance(trainer, data, kept[step], seed) for step in steps]
    correlations = {
        "held_out": float(spearmanr(held_out, exact).statistic),
        "minus_critic_loss": float(spearmanr(loss, exact).statistic),
    }
    rows = {"steps": steps, "held_out": held_out, "minus_critic_loss": loss, "distance": exact}
    return {"preset": preset, "seed": seed, **rows, "spearman": correlations, "faults": findings, "records": records}


def thousand(data: Data, flags: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train the preset default on 1,000 of the pictures, 10,000 others held out, and diagnose it."""
    few = open_data(data.train.images[:11_000], dataclasses.replace(options.make_config().data, held_out=10_000))
    trainer, records, _ = train("default", few, flags.time, seed, flags.threads)
    findings = diagnose(records, trainer.constraint)
    return {"preset": "thousand", "seed": seed, "faults": [f.name for f in findings if f.fault], "records": records}


def show(result: dict[str, Any]) -> None:
    """A table of the checkpoints, the correlations and the faults that were found."""
    print(f"\n{result['preset']}, seed {result['seed']}: faults found: {', '.join(result['faults']) or 'none'}")
    if "steps" in result:
        print(f"{'step':>8}{'held out':>12}{'-critic loss':>14}{'distance':>12}")
        for row in zip(*(result[k] for k in ("steps", "held_out", "minus_critic_loss", "distance")), strict=True):
            print(f"{row[0]:>8,}{row[1]:>12.3f}{row[2]:>14.3f}{row[3]:>12.4f}")
        print(
            "rank correlation with the distance: ", {k: round(v, 3) for k, v in result["spearman"].items()}, flush=True
        )


def main() -> None:
    """Read the flags, train, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", default="3m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--only", nargs="+", default=["default", "wgan-gp", "thousand"])
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    set_threads(flags.threads)
    data, results = open_data("fashion-mnist", options.make_config().data), []
    for seed in flags.seeds:
        for what in flags.only:
            results.append(thousand(data, flags, seed) if what == "thousand" else follow(what, data, flags, seed))
            show(results[-1])
            if flags.json:
                flags.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
