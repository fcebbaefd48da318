"""The command line. Every field of the configuration is a flag of `wgan train`; torch is imported when work begins."""

import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from wgan import __version__, options
from wgan.errors import WganError
from wgan.flags import DataFlags, ResumeFlags, TrainFlags, given_flags

if TYPE_CHECKING:
    from wgan.view import View

Quiet = Annotated[bool, Parameter(negative="", help="Show nothing but errors.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output.")]

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
        _report_run(run, as_json, quiet)


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

    _report_run(loop.resume(opened, given_flags(flags), view=_view(quiet or as_json)), as_json, quiet)


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
    _answer({"out": out, "samples": number, "seed": seed, **written}, as_json, f"{number:,} samples in {out}")


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

        _table({name: entry.help for name, entry in DATASETS.items()}, as_json)
        return
    config = options.make_config(given_flags(flags), {"data": source})
    from wgan.data import open_data
    from wgan.output import write_contact_sheet

    view = _view(as_json)
    opened = open_data(config.data.data, config.data, progress=view.progress)
    sheet = out or Path(f"{opened.name}-contact-sheet.png")
    write_contact_sheet(opened, sheet)
    text = "\n".join([*opened.report.lines(), f"contact sheet: {sheet}"])
    _answer(opened.report.to_json() | {"contact_sheet": str(sheet)}, as_json, text)


@app.command
def figure(
    name: str | None = None,
    /,
    *,
    list_names: Annotated[bool, Parameter(name="--list", negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Compute one of the papers' figures and draw it; each takes less than a minute.

    Parameters
    ----------
    name
        Which one; without a name they are listed.
    list_names
        List the figures, and stop.
    out
        The PNG to write. [default: NAME.png]
    seed
        Which random numbers; only figures for which networks are trained have any.
    """
    from wgan.registry import FIGURES

    if name is None or list_names:
        _table({name: entry.help for name, entry in FIGURES.items()}, as_json)
        return
    from wgan.figures import make

    place = out or Path(f"{name}.png")
    drawing = make(name, seed, place)
    value = {"figure": name, "out": str(place), "seed": seed, **drawing.numbers.summary()}
    _answer(value, as_json, f"{name} in {place}\n{drawing}")


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
    _answer({"runs": rows}, as_json, overview_table(rows))


@app.command
def presets(*, as_json: Json = False) -> None:
    """List the presets: the settings to begin with."""
    _table({name: options.preset_help(name) for name in options.presets()}, as_json)


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
        _answer(found, as_json, "")
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


def _report_run(run: Any, as_json: bool, quiet: bool) -> None:
    from wgan.overview import closing

    _answer({"run": str(run.folder), **run.summary}, as_json, "" if quiet else closing(run))


def _answer(value: Mapping[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print(json.dumps(value, allow_nan=False))  # noqa: T201
    elif text:
        print(text)  # noqa: T201


def _table(rows: Mapping[str, str], as_json: bool) -> None:
    width = max(map(len, rows))
    _answer(rows, as_json, "\n".join(f"{name:{width}}  {text}" for name, text in rows.items()))
