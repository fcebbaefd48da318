"""`wgan train`, `resume` and `sample`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from wgan import worker
from wgan.commands.answers import answer, answer_run
from wgan.commands.flags import Json, Quiet, ResumeFlags, TrainFlags, Whole, given_flags, whole
from wgan.console import make_view
from wgan.view import View
from wgan.words import count


class DryRunView(View):
    """Keeps what would be done, to be given as JSON."""

    def facts(self, facts: Mapping[str, Mapping[str, str]]) -> None:
        self.told = facts


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
        The settings to begin with; see `wgan presets`. [default: points for vectors, else default]
    config
        A config.toml whose values go over the preset's; that of a run repeats the run.
    out
        The run's folder; by default the next number under runs/. It is never written over.
    init_from
        Start from the weights of this run or generator.safetensors.
    dry_run
        Show what would be done, and stop.
    """
    from wgan.api import configure

    given = given_flags(flags) | ({"data": data} if data is not None else {})
    made, name = configure(preset, config, given)
    if made.run.processes > 1 and not worker.place().launched and not dry_run:
        from wgan.commands.launch import launch_train

        launch_train(made, name, out, init_from, _said(quiet, as_json))
        return
    from wgan import loop

    if dry_run:
        if worker.place().rank == 0:  # of several that were started by hand
            view = DryRunView() if as_json else make_view(quiet)
            loop.preview(made, out=out, init_from=init_from, view=view)
            if isinstance(view, DryRunView):
                answer(view.told, as_json, "")
        return
    run = loop.train(made, out=out, name=name, init_from=init_from, view=make_view(quiet or as_json))
    if worker.place().rank == 0:
        answer_run(run, as_json, quiet)


def resume(
    run: Path,
    /,
    *,
    quiet: Quiet = False,
    as_json: Json = False,
    flags: ResumeFlags = None,
) -> None:
    """Continue a run from its last save.

    Parameters
    ----------
    run
        The run's folder.
    """
    from wgan.run import Run

    opened, given = Run.open(run), given_flags(flags)
    if given.get("processes", opened.config.run.processes) > 1 and not worker.place().launched:
        from wgan.commands.launch import launch_resume

        launch_resume(opened, given, _said(quiet, as_json))
        return
    from wgan import loop

    gone_on = loop.resume(opened, given, view=make_view(quiet or as_json))
    if worker.place().rank == 0:
        answer_run(gone_on, as_json, quiet)


def _said(quiet: bool, as_json: bool) -> list[str]:
    return ["--quiet"] * quiet + ["--json"] * as_json


def sample(
    run: Path,
    /,
    *,
    number: Annotated[int, Parameter(name=["--number", "-n"], converter=whole)] = 64,
    seed: Whole = 0,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "samples.png",
    as_json: Json = False,
) -> None:
    """Draw samples of a trained generator.

    Parameters
    ----------
    run
        A run's folder, or a generator.safetensors.
    number
        How many samples.
    seed
        The random seed: the same seed gives the same samples.
    out
        x.npy: an array (N, H, W, C), or (N, D) of vectors; x.png: a grid, or a scatter plot; folder/: a PNG for each.
        A file that is there is replaced, and a folder must be empty.
    """
    from wgan.api import load
    from wgan.commands.output import write_samples

    written = write_samples(load(run), number, seed, out)
    answer({"out": out, "samples": number, "seed": seed, **written}, as_json, f"{count(number, 'sample')} in {out}")
