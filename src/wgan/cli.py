"""The command line: its commands, and one sentence for each mistake. Torch is imported when work begins."""

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from types import FrameType

from cyclopts import App, CycloptsError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError

from wgan import __version__, options, worker
from wgan.commands import measure, show, train
from wgan.errors import LostError, Stopped, WganError
from wgan.registry import no_such

app = App(
    name="wgan",
    help="Train a Wasserstein GAN on your own data, and believe the number it prints.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
COMMANDS = (
    *(train.train, train.resume, train.sample),
    *(measure.distance, measure.figure),
    *(show.data, show.runs, show.diagnose, show.presets, show.doctor),
)
for command in COMMANDS:
    app.command(command)

_UNWINDING = 1.0  # seconds after a signal in which it is not heeded again
_LONGEST_IMPORT = 10.0  # seconds that it waits for an import


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake that a person can fix is one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets a ? for what it cannot show
    if worker.is_over():
        sys.exit(0)  # our launcher starts all processes again, whatever ended one of them
    try:
        with _stoppable():
            app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_sentence(error), 2)
    except LostError as error:
        _end(*worker.report_loss(str(error), error.exit_code))
    except WganError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        _fail(str(error) or "stopped; nothing more was saved.", 128 + getattr(error, "signal", 2))
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:  # a disk that is full or went away; what was saved before is whole
        _fail(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and the hang-up unwind all as Ctrl-C does, so that nothing half written stays.

    A module that is being imported comes to its end first: cut off in its middle, it may fail in any way. What was to
    be ignored stays so, and a worker, which may wait for others where no signal is heard, just ends.
    """
    heard, raised = float("inf"), float("-inf")

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal heard, raised
        now = time.monotonic()
        first, heard = now < heard, min(heard, now)
        if _is_importing(frame) and now < heard + _LONGEST_IMPORT:
            if first and sys.stderr is not None and sys.stderr.isatty():
                with suppress(OSError):
                    os.write(sys.stderr.fileno(), b"wgan: stopping ...\n")
            again = threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, number))
            again.daemon = True
            again.start()
        elif now > raised + _UNWINDING:
            raised = now
            raise Stopped("", number)

    here = threading.current_thread() is threading.main_thread() and not worker.place().launched
    heeded = [number for number in worker.SIGNALS if here and not worker.is_ignored(number)]
    before = {number: signal.signal(number, hear) for number in heeded}
    try:
        yield
    except KeyboardInterrupt:  # the process ends, and what comes again meanwhile is the same signal
        raised = time.monotonic()
        while before:
            signal.signal(before.popitem()[0], hear)  # for a launcher has put others there
        raise
    finally:
        for number, handler in before.items():
            if handler is not None:  # it was not put there from Python
                signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _sentence(error: CycloptsError) -> str:
    """A usage error in one line, with where to look next."""
    if isinstance(error, UnknownCommandError):
        name = (error.unused_tokens or [""])[0]
        text = no_such("command", name, [command.__name__ for command in COMMANDS])
    elif isinstance(error, UnusedCliTokensError):
        first, *others = map(repr, error.unused_tokens or ("",))
        text = f"unexpected {first}{f' and {len(others)} more' if others else ''}."
    elif isinstance(error, UnknownOptionError):
        text = _unknown_option(error)
    else:
        text = " ".join(str(error).split())
    return f"{text} See `{' '.join(['wgan', *(error.command_chain or ()), '--help'])}`."


def _unknown_option(error: UnknownOptionError) -> str:
    """The options that have the unknown one as a word, or are spelt nearly like it."""
    given, command = (error.token.keyword or error.token.value).partition("=")[0], (error.command_chain or ("",))[-1]
    flags, places = list(map(options.flag, options.all_fields())), {"train": "DATA", "data": "DATA", "distance": "A B"}
    if given == "--data" and command in places:
        return f"the data are given without an option: wgan {command} {places[command]}."
    if command == "resume" and given in flags:
        return options.cannot_change(given)
    if near := _near(given, [name for argument in error.argument_collection for name in argument.names]):
        return f"unknown option {given}; did you mean {' or '.join(near)}?"
    if command == "resume" and (near := _near(given, flags)):
        return options.cannot_change(near[0])
    return f"unknown option {given}."


def _near(given: str, known: list[str]) -> list[str]:
    """The one that is spelt nearly so; else those that hold it as a word, or are one of its words."""
    given = given.replace("learning-rate", "lr")  # as other programs call it
    bare = {name: name.strip("-") for name in (given, *known)}
    sharing = [n for n in known if bare[given] in bare[n].split("-") or bare[n] in bare[given].split("-")]
    return get_close_matches(given, known, n=1, cutoff=0.8) or sharing


def _fail(text: str, code: int) -> None:
    _end(*worker.report(text, code))


def _end(text: str, code: int) -> None:
    try:
        if text:
            print(f"wgan: {text}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:  # nobody hears it; Python would try again at its end, and change the exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)
