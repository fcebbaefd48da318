"""How well W1 is measured on pairs whose W1 is known: our measurement, and critics as others train them.

    python bench/w1.py --seconds 120 --threads 1 --jobs 2     # 40 minutes; --help

Each line of the output is one method on one pair. ``fresh`` draws samples without end, ``finite`` has 60,000 a side.
Critics of others are judged on 65,536 held-out samples, as ours are.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from funnels import Funnels

from wgan.constraints import Constraint, GradientPenalty, LipschitzPenalty, Orthogonal
from wgan.measure import measure
from wgan.measure.critics import Rays, Training, scores
from wgan.measure.sides import open_sides
from wgan.networks import make_critic
from wgan.schedule import Budget
from wgan.seeds import rng

DIMS, CENTRES = (2, 16, 64, 128), (4, 64)
FINITE = 60_000
OTHERS: dict[str, tuple[Constraint, float]] = {
    "wgan-gp": (GradientPenalty(10.0), 1e-4),
    "wgan-lp": (LipschitzPenalty(10.0), 1e-4),
    "orthogonal": (Orthogonal(), 1e-3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="pairs at once; threads x jobs should not exceed the cores")
    parser.add_argument("--seed", type=int, default=0)
    methods = ["ours", "ours-finite", *OTHERS]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "w1.jsonl")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        method, dim, centres = given.one
        torch.set_num_threads(given.threads)
        print(json.dumps(run(method, int(dim), int(centres), given.seed, given.seconds)))
        return
    tasks = [(method, dim, centres) for method in given.methods for dim in given.dims for centres in CENTRES]
    running: list[subprocess.Popen[str]] = []
    flags = ["--seconds", str(given.seconds), "--threads", str(given.threads), "--seed", str(given.seed)]
    with given.out.open("w") as out:
        for task in tasks:
            while len(running) >= given.jobs:
                time.sleep(0.2)
                running = [process for process in running if process.poll() is None]
            command = [sys.executable, __file__, *flags, "--one", *map(str, task)]
            environment = os.environ | {"OMP_NUM_THREADS": str(given.threads)}
            running.append(subprocess.Popen(command, stdout=out, text=True, env=environment))
        for process in running:
            process.wait()
    if len(given.out.read_text().splitlines()) != len(tasks):
        raise SystemExit(f"some pairs failed, see above; what there is is in {given.out}")
    show(given.out)


def run(method: str, dim: int, centres: int, seed: int, seconds: float) -> dict[str, Any]:
    """One method on one pair."""
    pair = Funnels(dim, centres, seed)
    truth = pair.truth(rng(seed, "truth"))
    row: dict[str, Any] = {"method": method, "dim": dim, "centres": centres, "seed": seed, "truth": truth}
    if method == "ours":
        return measure(pair.p, pair.q, seconds=seconds, seed=seed).to_json() | row
    if method == "ours-finite":
        x, y = pair.p(FINITE, rng(seed, "finite p")), pair.q(FINITE, rng(seed, "finite q"))
        return measure(x, y, seconds=seconds, seed=seed).to_json() | row
    sides = open_sides(pair.p, pair.q, seed)
    constraint, rate = OTHERS[method]
    torch.manual_seed(seed)
    critic = constraint.prepare(make_critic("mlp", (dim,), width=256, depth=3, activation="relu"))
    adam = torch.optim.Adam(critic.parameters(), lr=rate, betas=(0.0, 0.9), fused=True)
    # As ours, to keep the best critic seen.
    rays = Rays(sides.part("validation"), seed) if constraint.has_penalty() else None
    training = Training(critic, constraint, (adam,), sides, Budget(seconds=seconds), method, rays)
    best = training.run(1.0, lambda share: None).critic
    x, y = sides.part("test")
    estimate = float(scores(best, x).mean() - scores(best, y).mean()) * sides.scale
    return row | {"wasserstein": estimate, "steps": training.steps}


def show(path: Path) -> None:
    """Print the table of what a file holds: estimate / truth."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    pairs = sorted({(row["dim"], row["centres"]) for row in rows})
    print(
        "| method | " + " | ".join(f"{dim}, {centres}" for dim, centres in pairs) + " | mean abs. error | over 1.03 |"
    )
    print("|---" * (len(pairs) + 3) + "|")
    for method in dict.fromkeys(row["method"] for row in rows):
        fields = ("wasserstein", "lower_bound") if method.startswith("ours") else ("wasserstein",)
        for name in fields:
            mine = [row for row in rows if row["method"] == method]
            found = {(row["dim"], row["centres"]): row[name] / row["truth"] for row in mine}
            cells = [f"{found[pair]:.3f}" if pair in found else "" for pair in pairs]
            error = statistics.mean(abs(ratio - 1) for ratio in found.values())
            over = sum(ratio > 1.03 for ratio in found.values())
            print(f"| {method} {name} | " + " | ".join(cells) + f" | {error:.1%} | {over} of {len(found)} |")
    ours = [row for row in rows if "interval" in row]
    for method in dict.fromkeys(row["method"] for row in ours):
        mine = [row for row in ours if row["method"] == method]
        covered = sum(row["interval"][0] <= row["truth"] <= row["interval"][1] for row in mine)
        tell = [row for row in mine if row["conclusive"]]
        error = statistics.mean(abs(row["wasserstein"] / row["truth"] - 1) for row in tell) if tell else math.nan
        vague = ", ".join(f"({row['dim']}, {row['centres']})" for row in mine if not row["conclusive"]) or "none"
        above = sum(row["lower_bound"] > row["truth"] for row in mine)
        print(
            f"{method}: truth in the interval in {covered} of {len(mine)}; inconclusive: {vague}; mean error of the "
            f"conclusive {error:.1%}; lower bound above truth in {above}"
        )


if __name__ == "__main__":
    main()
