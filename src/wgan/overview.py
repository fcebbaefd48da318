"""Runs in a few words: the table of `wgan runs`, and what is said when a run ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wgan.errors import WganError
from wgan.run import Run
from wgan.words import clock, count, printable, with_error


def overview(run: Run) -> dict[str, Any]:
    """A run's row: what it trains on and how it stands."""
    try:
        return _row(run)
    except (WganError, ValueError, TypeError, OSError) as error:
        return {"run": str(run.folder), "status": "unreadable", "error": str(error)}


def _row(run: Run) -> dict[str, Any]:
    config, records, summary = run.config, run.records(), run.summary
    last = records[-1] if records else {}
    return {
        "run": str(run.folder),
        "data": Path(config.data.data).name,
        "objective": config.loss.objective,
        "constraint": config.loss.constraint,
        "status": run.status,
        "step": max(last.get("step", 0), summary.get("steps", 0)),
        "seconds": max(last.get("seconds", 0.0), summary.get("seconds", 0.0)),
        "wasserstein_heldout": last.get("wasserstein_heldout"),
        "wasserstein_stderr": last.get("wasserstein_stderr"),
        "arbitrary_scale": summary.get("arbitrary_scale"),
    }


def overview_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table of text."""
    lines = [["run", "data", "constraint", "status", "steps", "time", "W held out"]]
    for row in rows:
        if row["status"] == "unreadable":
            lines.append([printable(row["run"]), "", "", "unreadable", "", "", ""])
            continue
        held_out = row["wasserstein_heldout"]
        number = "" if held_out is None else with_error(held_out, row["wasserstein_stderr"])
        number += " (arbitrary scale)" if number and row["arbitrary_scale"] else ""
        lines.append(
            [printable(row["run"]), printable(row["data"]), row["constraint"], row["status"].partition(":")[0],
             f"{row['step']:,}", clock(row["seconds"]), number]
        )  # fmt: skip
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    table = ["  ".join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, *(f"{printable(row['run'])}: {row['error']}" for row in rows if "error" in row)])


def doubled_budget(run: Run, steps: int, seconds: float) -> str:
    """The command that doubles a run's budget, in time or in steps as it was given."""
    twice = f"--time {max(1, round(seconds * 2))}s" if run.config.run.time else f"--steps {steps * 2}"
    return f"wgan resume {run.quoted} {twice}"


def closing(run: Run) -> str:
    """What a person wants to know when a run has ended: the result, where it is, and what to do next."""
    summary = run.summary
    final = summary["final"]
    lines = [f"{count(summary['steps'], 'generator step')} in {clock(summary['seconds'])}"]
    if final.get("wasserstein_heldout") is not None:
        lines.append(
            f"Wasserstein estimate, held out: {with_error(final['wasserstein_heldout'], final['wasserstein_stderr'])}"
            f" (gap to training, before the extra steps: {with_error(final['gap'], final['gap_stderr'])})"
        )
        if abs(final["wasserstein_heldout"]) < (floor := final.get("noise_floor") or 0.0):
            lines.append(f"it cannot be told from 0: two sets of real samples may differ by as much ({floor:.3g})")
        if summary["arbitrary_scale"]:
            lines.append(f"its scale is arbitrary under {summary['arbitrary_scale']}: compare it within this run only")
    lines += [f"{f['text']} {f['advice']}" for f in summary.get("findings", []) if f["fault"]]
    lines += [
        f"samples  {run.sample_paths()[-1]}",
        f"curves   {run.curves}",
        f"GIF      {run.animation}",
        f"more     wgan sample {run.quoted} -n 64 -o grid.png",
        f"check    wgan diagnose {run.quoted}",
        f"go on    {doubled_budget(run, summary['steps'], summary['seconds'])}",
    ]
    return "\n".join(lines)
