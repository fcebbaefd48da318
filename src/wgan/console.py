"""What a run says on a terminal: a live bar, or plain lines where there is no terminal."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from wgan.view import View
from wgan.words import with_error

_LINE_SECONDS = 5.0
_RECENT = 600.0  # seconds whose steps, the last thousand at most, tell the time left: a run's first ones may be longer
_WIDE, _NARROW = 80, 50  # columns from which there is room for a bar, and for the time left


class SafeConsole(Console):
    """A console that falls silent for good when it cannot write: its reader is gone, or its terminal or disk.

    Whatever is lost of what is said, training goes on, and is saved.
    """

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            super().__exit__(kind, error, trace)  # where all that was printed is written
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        """A reader is gone; rich would end the program."""
        self.quiet = True


class _TimeLeft(TimeRemainingColumn):
    def render(self, task: Task) -> Text:
        return super().render(task).append(" left")


class _Bar(Progress):
    """A bar, and a line of numbers under it: as many as there is room for, the first ones first."""

    numbers: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.numbers:
            fitting = ("  ".join(self.numbers[:count]) for count in range(len(self.numbers), 0, -1))
            yield Text(next((line for line in fitting if len(line) <= self.console.width), self.numbers[0]))


class PlainView(View):
    """Facts, notes and a line every few seconds: for logs and pipes.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._line = self._share = 0.0

    def progress(self, label: str, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._line > _LINE_SECONDS:
            self._line = time.monotonic()
            self.console.print(f"{label}: {done:,} of {total:,}", highlight=False, soft_wrap=True)

    def facts(self, facts: Mapping[str, Mapping[str, str]]) -> None:
        table = Table.grid(padding=(0, 2))
        for section, rows in facts.items():
            for number, (name, value) in enumerate(rows.items()):
                cells = (section if number == 0 else "", "bold"), (name, "dim"), (value, "")
                table.add_row(*(Text(part, style, overflow="fold") for part, style in cells))
        self.console.print(table)

    def note(self, text: str) -> None:
        self.console.print(Text(f"note: {text}", style="yellow"))

    def step(self, share: float, step: int) -> None:
        self._share = share

    def tick(self, record: Mapping[str, Any]) -> None:
        if self._share < 1 and time.monotonic() - self._line < _LINE_SECONDS:
            return
        self._line = time.monotonic()
        self.console.print(
            f"{100 * min(1, self._share):3.0f} %  step {record['step']:,}  {'  '.join(numbers(record))}",
            highlight=False,
            soft_wrap=True,
        )


class LiveView(PlainView):
    """A bar that stays in place, for terminals."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: _Bar | None = None
        self._task: Any = None

    def progress(self, label: str, done: int, total: int) -> None:
        bar = self._bar
        if bar is None:
            bar = self._start(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            )
            self._task = bar.add_task(label, total=total)
        bar.update(self._task, completed=done, total=total, description=label)
        if done >= total:
            self.end()

    def begin(self, steps: int | None, share: float) -> None:
        total = "" if steps is None else f" of {steps:,}"
        width = self.console.width
        bar = self._start(
            *([SpinnerColumn(), BarColumn(24)] if width >= _WIDE else []),
            TextColumn("{task.percentage:3.0f} %", table_column=Column(min_width=len("100 %"), no_wrap=True)),
            TextColumn("step {task.fields[step]:,}" + total, table_column=Column(no_wrap=True)),
            *([_TimeLeft(table_column=Column(min_width=len("0:00:00 left")))] if width >= _NARROW else []),
        )
        self._task = bar.add_task("training", total=1.0, step=0)
        bar.update(self._task, completed=share)

    def step(self, share: float, step: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=min(1.0, share), step=step)

    def tick(self, record: Mapping[str, Any]) -> None:
        if self._bar is not None:
            self._bar.numbers = numbers(record)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self, *columns: ProgressColumn) -> _Bar:
        self.end()
        self._bar = _Bar(*columns, console=self.console, speed_estimate_period=_RECENT)
        self._bar.start()
        return self._bar


def make_view(quiet: bool) -> View:
    """The view that suits where standard error goes to."""
    if quiet:
        return View()
    console = SafeConsole(stderr=True)
    return LiveView(console) if console.is_terminal else PlainView(console)


def numbers(record: Mapping[str, Any]) -> list[str]:
    """A record's numbers in words, the most important ones first."""

    def known(name: str, before: str, error: str = "") -> list[str]:
        return [] if record.get(name) is None else [f"{before} {with_error(record[name], record.get(error))}"]

    losses = f"loss critic {record['critic_loss']:.3g}, generator {record['generator_loss']:.3g}"
    rate = record.get("images_per_second")
    return [
        *(known("wasserstein_heldout", "W held out", "wasserstein_stderr") or [losses]),
        *known("wasserstein_bound", "at least"),
        f"|grad| {record['gradient_norm']:.2g}",
        *known("wasserstein", "train"),
        *known("gap", "gap", "gap_stderr"),
        *known("noise_floor", "noise floor"),
        *([f"{rate:,.0f} images/s"] if rate else []),
    ]
