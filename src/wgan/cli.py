"""The command line: its commands, and one sentence for each mistake. Torch is imported when work begins."""

import io
import os
import sys

from cyclopts import App, CycloptsError, UnusedCliTokensError

from wgan import __version__, worker
from wgan.commands import measure, show, train
from wgan.errors import LostError, WganError

app = App(
    name="wgan",
    help="Train a Wasserstein GAN on your own data, and believe the number it prints.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for command in (
    *(train.train, train.resume, train.sample),
    *(measure.distance, measure.figure),
    *(show.data, show.runs, show.diagnose, show.presets, show.doctor),
):
    app.command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake that a person can mend is one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets a ? for what it cannot show
    if worker.is_over():
        sys.exit(0)  # our launcher starts all processes again, whatever ended one of them
    try:
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


def _sentence(error: CycloptsError) -> str:
    """A usage error in one line, with where to look next."""
    if isinstance(error, UnusedCliTokensError):
        text = f"unexpected {', '.join(map(repr, error.unused_tokens or ()))}."
    else:
        text = " ".join(str(error).split())
    return f"{text} See `{' '.join(['wgan', *(error.command_chain or ()), '--help'])}`."


def _fail(text: str, code: int) -> None:
    _end(*worker.report(text, code))


def _end(text: str, code: int) -> None:
    try:
        if text:
            print(f"wgan: {text}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError:  # nobody hears it; Python would try again at its end, and change the exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)
