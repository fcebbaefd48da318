"""The command line. Every field of the configuration is a flag of `wgan train`; torch is imported when work begins."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from wgan import __version__, options
from wgan.answers import answer, answer_run, answer_table
from wgan.errors import WganError
from wgan.flags import DataFlags, ResumeFlags, TrainFlags, given_flags
from wgan.registry import DISTANCES

if TYPE_CHECKING:
    from wgan.view import View

Quiet = Annotated[bool, Parameter(negative="", help="Show nothing but errors.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output.")]
_METHODS = "; ".join(f"{name} ({entry.help})" for name, entry in DISTANCES.items())

app = App(
    name="wgan",
    help="Train a Wasserstein GAN on your own data, and believe the number it prints.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)


@app.command
def train(
    data: str | None = None,
    /,
    *,
    preset: str | None = None,
    config: Path | None = None,
    out: Path | None = None,
    init_from: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    flags: TrainFlags = None,
) -> None:
    """Train a GAN: by default on the digits that ship with the package.

    Parameters
    ----------
    data
        A name (digits, mnist, ...), a folder or .zip of pictures, or a .npy/.npz file.
    preset
        The settings to begin with; `wgan presets` lists them. [default: default]
    config
        A config.toml whose values go over the preset's; that of a run repeats the run.
    out
        The run's folder; by default the next number under runs/. It is never written over.
    init_from
        A run or a generator.safetensors whose weights to begin with.
    dry_run
        Show what would be done, and stop.
    """
    from wgan.api import layers

    given = given_flags(flags) | ({"data": data} if data is not None else {})
    made, name = layers(preset, config, given)
    from wgan import loop

    view = _view(quiet or as_json)
    run = loop.train(made, out=out, name=name, init_from=init_from, dry_run=dry_run, view=view)
    if run is not None:
        answer_run(run, as_json, quiet)


@app.command
def resume(
    run: Path,
    /,
    *,
    quiet: Quiet = False,
    as_json: Json = False,
    flags: ResumeFlags = None,
) -> None:
    """Go on with a run exactly where its last save is.

    Parameters
    ----------
    run
        The run's folder.
    """
    from wgan.run import Run

    opened = Run.open(run)
    from wgan import loop

    answer_run(loop.resume(opened, given_flags(flags), view=_view(quiet or as_json)), as_json, quiet)


@app.command
def sample(
    run: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"])] = 64,
    seed: int = 0,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "samples.png",
    as_json: Json = False,
) -> None:
    """Draw samples of a trained generator.

    Parameters
    ----------
    run
        A run's folder, or a generator.safetensors.
    number
        How many.
    seed
        Which: the same seed gives the same samples.
    out
        x.npy: one array, uint8 (N, H, W, C), or float32 (N, D) of vectors; grid.png: one picture, or a scatter plot of
        vectors; folder/: a PNG for each picture.
    """
    from wgan.api import load
    from wgan.output import write_samples

    written = write_samples(load(run), number, seed, out)
    answer({"out": out, "samples": number, "seed": seed, **written}, as_json, f"{number:,} samples in {out}")


@app.command
def data(
    source: str = "digits",
    /,
    *,
    list_names: Annotated[bool, Parameter(name="--list", negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    as_json: Json = False,
    flags: DataFlags = None,
) -> None:
    """Report on a data set and draw a contact sheet of it.

    Parameters
    ----------
    source
        A name, a folder or .zip of pictures, or a .npy/.npz file.
    list_names
        List the named data sets, and stop.
    out
        The contact sheet. [default: NAME-contact-sheet.png]
    """
    if list_names:
        from wgan.registry import DATASETS

        answer_table({name: entry.help for name, entry in DATASETS.items()}, as_json)
        return
    config = options.make_config(given_flags(flags), {"data": source})
    from wgan.data import open_data
    from wgan.output import write_contact_sheet

    view = _view(as_json)
    opened = open_data(config.data.data, config.data, progress=view.progress)
    sheet = out or Path(f"{opened.name}-contact-sheet.png")
    write_contact_sheet(opened, sheet)
    text = "\n".join([*opened.report.lines(), f"contact sheet: {sheet}"])
    answer(opened.report.to_json() | {"contact_sheet": str(sheet)}, as_json, text)


@app.command
def distance(
    a: str,
    b: str,
    /,
    *,
    method: Annotated[str, Parameter(help=f"auto, or one of {_METHODS}.")] = "auto",
    samples: int | None = None,
    split: Literal["all", "train", "held-out"] = "all",
    seed: int = 0,
    as_json: Json = False,
    flags: DataFlags = None,
) -> None:
    """Measure how far apart two sets of samples are, with the error of the answer.

    Parameters
    ----------
    a
        A name, a folder or .zip of pictures, a .npy/.npz file, a run's folder or a generator.safetensors.
    b
        The same; its pictures are brought to the size and channels of those of A.
    samples
        Use at most so many a side; of a generator, draw so many. [default: all, as far as the method can]
    split
        Which samples of a data set to use.
    seed
        Chooses samples, and the parts into which they are cut to find the error.
    """
    from wgan.compare import compare, lines

    how = options.make_config(given_flags(flags)).data
    progress = _view(as_json).progress
    found = compare(a, b, how, method=method, samples=samples, seed=seed, split=split, progress=progress)
    answer(found.to_json(), as_json, lines(found))


@app.command
def runs(folder: Path = Path("runs"), /, *, as_json: Json = False) -> None:
    """List the runs in a folder.

    Parameters
    ----------
    folder
        Where they are.
    """
    from wgan.overview import overview, overview_table
    from wgan.run import find_runs

    found = find_runs(folder)
    if not found and not as_json:
        raise WganError(f"there are no runs in {folder}; `wgan train` makes the first one under runs/.")
    rows = [overview(run) for run in found]
    answer({"runs": rows}, as_json, overview_table(rows))


@app.command
def presets(*, as_json: Json = False) -> None:
    """List the presets: the settings to begin with."""
    answer_table({name: options.preset_help(name) for name in options.presets()}, as_json)


@app.command
def doctor(*, as_json: Json = False, speed: bool = True) -> None:
    """Show versions, processor, GPU, precision, caches and extras, and measure this machine's speed.

    Parameters
    ----------
    speed
        Measure for about ten seconds how fast this machine trains.
    """
    from wgan.doctor import examine

    found = examine(speed)
    if as_json:
        answer(found, as_json, "")
    else:
        from rich.console import Console

        from wgan.doctor import sections

        from wgan.console import PlainView  # isort: skip

        PlainView(Console()).facts(sections(found))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake that a person can mend is one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an ASCII terminal gets a ? for what it cannot show
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(_sentence(error), 2)
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
    print(f"wgan: {text}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _view(quiet: bool) -> "View":
    from wgan.console import make_view

    return make_view(quiet)
