"""What a person sees while a run trains, on a terminal and in a log."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wgan.commands import measure, show
from wgan.console import LiveView, PlainView, SafeConsole, make_view, numbers
from wgan.view import View
from wgan.words import clock, with_error

RECORD = {
    "step": 50, "wasserstein": 1.5, "wasserstein_heldout": 1.25, "wasserstein_stderr": 0.05, "critic_loss": -1.5,
    "generator_loss": 0.5, "gradient_norm": 0.98, "images_per_second": 1234.5, "gap": 0.125, "gap_stderr": 0.04,
    "noise_floor": 0.2,
}  # fmt: skip


HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"  # what a terminal is told of its cursor


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=150, color_system=None)


def text(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


ESTIMATE, REST = "W held out 1.25 ± 0.05", "train 1.5  gap 0.125 ± 0.04  noise floor 0.2  1,234 images/s"


def test_numbers_of_a_record() -> None:
    assert "  ".join(numbers(RECORD)) == f"{ESTIMATE}  |grad| 0.98  {REST}"
    bounded = {**RECORD, "wasserstein_bound": 0.75}
    assert "  ".join(numbers(bounded)) == f"{ESTIMATE}  at least 0.75  |grad| 0.98  {REST}"
    few = {**RECORD, "wasserstein_heldout": None, "gap": None, "noise_floor": None}
    classic = {**few, "wasserstein": None, "images_per_second": None}
    assert "  ".join(numbers(classic)) == "loss critic -1.5, generator 0.5  |grad| 0.98"
    assert with_error(1.5, None) == "1.5"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def say_all(view: View) -> None:
    """Everything that a view can be told."""
    view.progress("reading pictures", 5, 10)
    view.progress("reading pictures", 10, 10)
    view.facts({"data": {"name": "digits"}})
    view.note("few samples")
    view.begin(200, 0.25)
    view.step(0.5, 100)
    view.tick(RECORD)
    view.end()


def test_a_terminal_gets_a_bar_with_steps_share_and_numbers() -> None:
    screen = console(True)
    view = LiveView(screen)
    say_all(view)
    shown = text(screen)
    assert all(
        part in shown for part in ("reading pictures", "digits", "note: few samples", "step 100 of 200", " 50 %")
    )
    assert "held out 1.25" in shown


@pytest.mark.parametrize("width", [50, 60, 70, 79, 80, 90, 100, 120, 140])
@pytest.mark.parametrize("kind", ["distance", "losses"])
def test_a_terminal_of_any_width_shows_how_far_it_is(width: int, kind: str) -> None:
    gone = dict.fromkeys(["wasserstein", "wasserstein_heldout", "gap", "noise_floor"])
    losses = {"critic_loss": -1.23e-05, "generator_loss": -0.00222, **gone}
    screen = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    view = LiveView(screen)
    view.begin(100_000, 0.0)
    view.step(0.43, 43_000)
    record = {**RECORD, "step": 43_000, **(losses if kind == "losses" else {})}
    view.tick(record)
    view.end()
    *_, bar, under = (
        line.rstrip() for line in text(screen).splitlines() if "43" in line or line.startswith(numbers(record)[0])
    )
    assert " 43 %" in bar and "step 43,000 of" in bar
    assert ("left" in bar) == (width >= 50) and ("━" in bar) == (width >= 80)
    whole = "  ".join(numbers(record))
    assert whole.startswith(under) and ("|grad| 0.98" in under or width < 60)
    assert under.endswith("images/s") == (width >= len(whole))


def test_time_left_counts_what_this_process_has_done() -> None:
    now = [0.0]
    view = LiveView(Console(file=io.StringIO(), force_terminal=True, get_time=lambda: now[0]))
    view.begin(None, 0.5)
    assert view._bar is not None
    column = next(c for c in view._bar.columns if type(c).__name__ == "_TimeLeft")
    for step, share in enumerate((0.5625, 0.625), 1):
        now[0] += 8
        view.step(share, step)
    assert str(column.render(view._bar.tasks[0])) == "0:00:48 left"  # an eighth in 16 s: 48 s for the other three
    view.end()


def test_a_log_gets_plain_lines() -> None:
    screen = console(False)
    view = PlainView(screen)
    view.begin(200, 0.0)
    view.step(0.25, 50)
    view.tick(RECORD)
    view.tick({**RECORD, "step": 51})
    view.step(1.0, 200)
    view.tick({**RECORD, "step": 200})
    lines = text(screen).splitlines()
    assert [line.split("  ")[:2] for line in lines] == [[" 25 %", "step 50"], ["100 %", "step 200"]]


@pytest.mark.parametrize("command", ["data", "distance"])
def test_a_command_that_is_stopped_gives_the_cursor_back(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, progress: Any, **__: Any) -> None:
        progress("reading pictures", 5, 10)
        raise KeyboardInterrupt

    screen = console(True)
    for module in (show, measure):
        monkeypatch.setattr(module, "make_view", lambda _: LiveView(screen))
    monkeypatch.setattr(
        "wgan.sets.open_data", stopped
    )  # before the next: this may import it, which keeps what it finds
    monkeypatch.setattr("wgan.data.open_data", stopped)
    with pytest.raises(KeyboardInterrupt):
        show.data(str(tmp_path)) if command == "data" else measure.distance(str(tmp_path), str(tmp_path))
    assert 0 <= text(screen).rfind(HIDDEN) < text(screen).rfind(SHOWN)


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("make", [PlainView, LiveView])
def test_a_reader_that_is_gone_or_a_closed_terminal_ends_nothing(make: type[PlainView]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    for lost in (file, Gone()):
        screen = SafeConsole(file=lost, force_terminal=make is LiveView, width=150)
        say_all(make(screen))
        assert screen.quiet
    with suppress(BrokenPipeError):
        file.close()


def test_quiet_shows_nothing() -> None:
    assert type(make_view(True)) is View
    shown = make_view(False)
    assert isinstance(shown, PlainView) and isinstance(shown.console, SafeConsole)


def test_numbers_of_a_run_that_diverged_are_short() -> None:
    assert with_error(1.4e27, 5.3e23) == "1.4e+27 ± 5e+23" and with_error(123456.0, 789.0) == "123,456 ± 789"


def test_what_is_held_out_has_its_own_value_and_error() -> None:
    record = {**RECORD, "wasserstein_heldout": -0.25, "wasserstein_stderr": 0.5}
    assert numbers(record)[0] == "W held out -0.25 ± 0.5" and "train 1.5" in numbers(record)


def test_a_bar_of_progress_ends_with_its_last_sample() -> None:
    view = LiveView(Console(file=io.StringIO(), force_terminal=True, width=150, color_system=None))
    view.progress("reading", 9, 10)
    assert view._bar is not None
    view.progress("reading", 10, 10)
    assert view._bar is None


def test_the_last_line_of_a_log_is_always_there() -> None:
    view = PlainView(Console(file=io.StringIO(), width=150))
    view.progress("reading", 1, 10)
    view.progress("reading", 10, 10)
    assert isinstance(view.console.file, io.StringIO)
    assert view.console.file.getvalue().splitlines()[-1] == "reading: 10 of 10"
