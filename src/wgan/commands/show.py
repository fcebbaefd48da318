"""`wgan data`, `runs`, `diagnose`, `presets` and `doctor`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wgan import options
from wgan.commands.answers import answer, answer_table
from wgan.commands.flags import DataFlags, Json, given_flags
from wgan.console import PlainView, make_view
from wgan.errors import WganError
from wgan.files import UnwrittenError, at_home


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
    from wgan.commands.output import check_sheet, write_contact_sheet
    from wgan.data import open_data
    from wgan.data.files import SHEET

    if out is not None:
        check_sheet(at_home(out))

    view = make_view(as_json)
    try:
        opened = open_data(config.data.data, config.data, progress=view.progress)
    finally:
        view.end()
    sheet = at_home(out or f"{opened.name}{SHEET}")
    unwritten = None
    try:
        write_contact_sheet(opened, sheet)
    except UnwrittenError as error:
        unwritten = error
    drawn = None if unwritten else str(sheet)
    text = "\n".join([str(opened.report), *([f"contact sheet: {drawn}"] if drawn else [])])
    answer(opened.report.to_json() | {"contact_sheet": drawn}, as_json, text)
    if unwritten:  # what was read is told all the same
        raise unwritten


def runs(folder: Path = Path("runs"), /, *, as_json: Json = False) -> None:
    """List the runs in a folder.

    Parameters
    ----------
    folder
        Where they are.
    """
    from wgan.overview import overview, overview_table
    from wgan.run import Run, find_runs

    found = find_runs(folder)
    here = at_home(folder).absolute()
    if not found and Run(here).config_file.is_file():
        raise WganError(f"{folder} is a run itself; `wgan runs {Run(here.parent).quoted}` lists those beside it.")
    if not found and not (as_json and here.is_dir()):
        raise WganError(f"there are no runs in {folder}; `wgan train` makes the first one under runs/.")
    rows = [overview(run) for run in found]
    answer({"runs": rows}, as_json, overview_table(rows))


def diagnose(run: Path, /, *, data: str | None = None, as_json: Json = False) -> None:
    """Check a run for problems, with the evidence and what to do.

    Does the critic overfit, lag behind, or break its constraint?
    Is it flat at the generator's samples? How far apart are the
    two at least? The run may still train, and is not changed.

    Parameters
    ----------
    run
        The run's folder.
    data
        Where its data are, if they have moved.
    """
    from wgan.run import Run

    opened = Run.open(run)
    from wgan.checkup import check_up

    found = check_up(opened, data, view=make_view(as_json))
    answer(found.to_json(), as_json, str(found))


def presets(*, as_json: Json = False) -> None:
    """List the presets: named settings to start from."""
    answer_table({name: options.preset_help(name) for name in options.presets()}, as_json)


def doctor(*, as_json: Json = False, speed: bool = True) -> None:
    """Show versions, processor, GPU, precision, caches and extras, and measure this machine's speed.

    Parameters
    ----------
    speed
        Measure for about ten seconds how fast this machine trains.
    """
    from wgan.commands.doctor import examine

    found = examine(speed)
    if as_json:
        answer(found, as_json, "")
    else:
        from rich.console import Console

        from wgan.commands.doctor import sections

        PlainView(Console()).facts(sections(found))
