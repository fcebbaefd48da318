"""What a benchmark leaves behind: bench/results/NAME.json, and its section of docs/benchmarks.md."""

import argparse
import json
import platform
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wgan.machine import processor
from wgan.machine.environment import PACKAGES, installed
from wgan.machine.processor import set_threads
from wgan.words import count

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "bench" / "results", ROOT / "docs" / "benchmarks.md"
FEATURES = ("avx2", "avx512_f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "bf16", "sve")
HEAD = """# Benchmarks

Every section is written by its command, from the numbers in [bench/results](../bench/results); do not edit it.
[bench/README.md](../bench/README.md) says what is measured, and how.
"""


def measured(name: str, arguments: Sequence[str], threads: int | None, run: Callable[[], dict[str, Any]]) -> dict:
    """Run a benchmark, and put around its numbers all that tells where they come from.

    A key ``section`` in what it gives sets apart what one benchmark measures on several data sets.
    """
    used, began, clock = set_threads(threads), datetime.now(UTC), time.monotonic()
    found = run()
    return {
        "benchmark": name,
        "name": found.pop("section", name),
        "command": shlex.join(["python", "-m", "bench", name, *arguments]),
        "date": began.strftime("%Y-%m-%d %H:%M UTC"),
        "minutes": (time.monotonic() - clock) / 60,
        "machine": machine(used),
        "versions": versions(),
        "measured": found,
    }


def settings(flags: argparse.Namespace) -> dict[str, Any]:
    """The flags as plain values."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in vars(flags).items()}


def machine(threads: int) -> dict[str, Any]:
    """Processor, cores, threads, and which of its features decide how fast a network is."""
    return {
        "processor": _model_name() or processor.name(),
        "cores": processor.cores(),
        "threads": threads,
        "features": [name for name in FEATURES if processor.features().get(name)],
    }


def _model_name() -> str | None:
    """What Linux calls the processor, with the numbers that tell apart models of one name."""
    place = Path("/proc/cpuinfo")
    found = dict(re.findall(r"^([\w ]+?)\s*:\s*(.*)$", place.read_text(), re.M)) if place.is_file() else {}
    numbers = ", ".join(f"{key} {found[key]}" for key in ("model", "stepping") if key in found)
    return f"{found['model name']} ({numbers})" if "model name" in found else None


def versions() -> dict[str, str | None]:
    """Of Python, of the packages that matter, and of this repository."""
    ask = ["git", "describe", "--always", "--dirty"]
    asked = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {name: installed(name) for name in ("wgan", *PACKAGES[:3])}
    return {"python": platform.python_version(), **found, "commit": asked.stdout.strip() or None}


def save(result: dict[str, Any]) -> None:
    """Write the raw numbers."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(_rounded(result), indent=1, allow_nan=False)
    (RESULTS / f"{result['name']}.json").write_text(text + "\n", encoding="utf-8")


def stored() -> Iterator[dict[str, Any]]:
    """All results that there are, in the order of their names."""
    for path in sorted(RESULTS.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def section(result: dict[str, Any], tables: str) -> str:
    """A result in Markdown, between the markers by which it is found again."""
    at, of = result["machine"], result["versions"]
    shared = f"{count(at['cores'], 'core')}, {count(at['threads'], 'thread')}"
    where = f"{at['processor']}, {shared}, {' '.join(at['features']) or 'no features'}"
    seeds = [each["seed"] for each in result["measured"].get("seeds", [{"seed": 0}])]  # of the others it is always 0
    seeded = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    with_ = ", ".join(f"{name} {version}" for name, version in of.items() if version)
    lines = [
        f"<!-- bench: {result['name']} -->",
        f"## {result['name']}",
        "",
        f"    {result['command']}",
        "",
        f"{result['date']}, {result['minutes']:.0f} minutes. {where}, {seeded}. {with_}.",
        "",
        tables.strip(),
        f"<!-- end: {result['name']} -->",
    ]
    return "\n".join(lines)


def write_section(result: dict[str, Any], tables: str) -> None:
    """Replace a result's section of the page, or add it at the end."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else HEAD
    name, text = re.escape(result["name"]), section(result, tables)
    old = re.compile(rf"<!-- bench: {name} -->.*?<!-- end: {name} -->", re.S)
    page = old.sub(lambda _: text, page) if old.search(page) else f"{page.rstrip()}\n\n{text}\n"
    PAGE.write_text(page, encoding="utf-8")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and numbers to the right, that reads well as it is."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    rule = [("-" * (w - 1) + (":" if i else "-")) if w > 1 else "-" for i, w in enumerate(widths)]

    def line(cells: Sequence[str]) -> str:
        padded = [c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(heads), line(rule), *map(line, rows)]) + "\n"


def _rounded(value: Any) -> Any:
    """Six digits are more than any of these measurements has."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
