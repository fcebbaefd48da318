"""What a run says on a terminal: a live bar, or plain lines where there is no terminal."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from wgan.view import View
from wgan.words import clock, with_error

_LINE_SECONDS = 5.0
_WIDE, _NARROW = 140, 90  # columns from which there is room for a bar, and for the time left


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


class _TimeLeft(ProgressColumn):
    """Time left, from the share of the budget that this process has used up."""

    def render(self, task: Task) -> Text:
        done, elapsed = task.completed - task.fields["begun"], task.elapsed or 0.0
        return Text(f"{clock(elapsed * (1 - task.completed) / done)} left" if done > 0.01 else "", style="cyan")


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
            f"{100 * min(1, self._share):3.0f} %  step {record['step']:,}  {numbers(record)}",
            highlight=False,
            soft_wrap=True,
        )


class LiveView(PlainView):
    """A bar that stays in place, for terminals."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: Progress | None = None
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
        wide = self.console.width >= _WIDE
        front = [SpinnerColumn(), BarColumn(24)] if wide else []
        bar = self._start(
            *front,
            TextColumn("{task.percentage:3.0f} %", table_column=Column(min_width=len("100 %"), no_wrap=True)),
            *([TimeElapsedColumn()] if wide else []),
            *([_TimeLeft(table_column=Column(min_width=len("0:00:00 left")))] if self.console.width >= _NARROW else []),
            TextColumn(
                "step {task.fields[step]:,}" + total + "  {task.fields[numbers]}", table_column=Column(no_wrap=True)
            ),
        )
        self._task = bar.add_task("training", total=1.0, begun=share, step=0, numbers="")
        bar.update(self._task, completed=share)

    def step(self, share: float, step: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=min(1.0, share), step=step)

    def tick(self, record: Mapping[str, Any]) -> None:
        if self._bar is not None:
            self._bar.update(self._task, numbers=numbers(record, short=self.console.width < _WIDE))

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self, *columns: ProgressColumn) -> Progress:
        self.end()
        self._bar = Progress(*columns, console=self.console)
        self._bar.start()
        return self._bar


def make_view(quiet: bool) -> View:
    """The view that suits where standard error goes to."""
    if quiet:
        return View()
    console = SafeConsole(stderr=True)
    return LiveView(console) if console.is_terminal else PlainView(console)


def numbers(record: Mapping[str, Any], short: bool = False) -> str:
    """A record in a line; the short one fits 80 columns."""
    parts = []
    if record.get("wasserstein") is not None:
        held_out = with_error(record["wasserstein_heldout"], record["wasserstein_stderr"])
        bound = record.get("wasserstein_bound")
        least = f", at least {with_error(bound, None)}" if bound is not None and not short else ""
        parts.append(
            f"W {'' if short else 'train '}{with_error(record['wasserstein'], None)}, held out {held_out}{least}"
        )
    else:
        losses = record["critic_loss"], record["generator_loss"]
        critic, generator = (f"{loss:.{2 if short else 3}g}" for loss in losses)
        parts.append(f"loss {critic}, {generator}" if short else f"loss critic {critic}, generator {generator}")
    parts.append(f"|grad| {record['gradient_norm']:.2g}")
    if record.get("images_per_second") and not short:
        parts.append(f"{record['images_per_second']:,.0f} images/s")
    return "  ".join(parts)
