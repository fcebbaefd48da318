"""A whole run from beginning to end: train, log, draw, save, stop, go on.

Several processes go through the same lines: the first of them writes and speaks, and says when time is up; the others
take the same steps and are silent.
"""

import dataclasses
import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from wgan import options, worker
from wgan.build import Due, check, make_trainer, resolve
from wgan.config import Config, DataConfig
from wgan.data import open_data, place_of
from wgan.data.samples import Data
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.loop import resuming
from wgan.loop.facts import OBJECT, facts_of
from wgan.loop.gallery import require_tensorboard
from wgan.loop.stepping import Parts, train_to_the_end
from wgan.machine.environment import describe_environment
from wgan.machine.processor import set_threads
from wgan.parallel import Group, joined
from wgan.registry import DATASETS, no_such
from wgan.run import Run
from wgan.trainer.state import restore, saved_decay
from wgan.view import View


def train(
    config: Config,
    *,
    source: Any = None,
    out: str | os.PathLike[str] | None = None,
    name: str = "run",
    init_from: str | os.PathLike[str] | None = None,
    view: View | None = None,
) -> Run:
    """Make a new run and train it, together with the other processes that a launcher started, if one did.

    Args:
        config: What to do.
        source: The data, when it is not what ``config.data`` names: an array or any object that has items.
        out: The run's folder; by default the next number under ``runs/``.
        name: What follows the number.
        init_from: A run or a ``generator.safetensors`` whose weights to begin with.
        view: Where progress is shown.

    Raises:
        UsageError, WganError: Something is wrong that the user can fix.
        Stopped: Ctrl-C or SIGTERM came; everything is saved.
    """
    folder, weights = _at_home(out), _at_home(init_from)
    with joined(config.run.device) as group:
        if group.size > 1 and folder is None:
            raise UsageError("--out: several processes must agree on the run's folder; give --out runs/NAME.")
        view = view if view and group.first else View()
        if folder is not None and (begun := resuming.begun_by_this_launch(folder, group)):
            return _continue(begun, config, source, view, group, ours=True)
        parts = _begin(config, source, folder, weights, view, group)
        run = _make_folder(parts, folder, name, weights, group)
        _tell(parts, str(run.folder), view)
        with run.lock() if group.first else nullcontext():
            return train_to_the_end(run, parts, view, group, parts.plan.due(0))


def preview(
    config: Config,
    *,
    source: Any = None,
    out: str | os.PathLike[str] | None = None,
    init_from: str | os.PathLike[str] | None = None,
    view: View,
) -> None:
    """Show what :func:`train` would do, with as many processes as the configuration wants, and do nothing.

    Raises:
        UsageError, WganError: As :func:`train`.
    """
    folder, processes = _at_home(out), config.run.processes
    group = Group(size=processes, local_size=processes)
    parts = _begin(config, source, folder, _at_home(init_from), view, group)
    _tell(parts, str(folder or f"the next number under {Path('runs').absolute()}"), view)


def resume(run: Run, changes: Mapping[str, Any], *, source: Any = None, view: View | None = None) -> Run:
    """Go on with a run exactly where its last save is.

    Args:
        run: The run.
        changes: New values of what may change: the budget, intervals, catching up, threads, processes, device,
            TensorBoard and the data's place.
        source: The data, when it was given as an object or has moved.
        view: Where progress is shown.

    Raises:
        UsageError, WganError: Something is wrong that the user can fix.
        Stopped: Ctrl-C or SIGTERM came; everything is saved.
    """
    for name in changes:
        if name not in options.all_fields():
            raise UsageError(no_such("option", name, options.RESUMABLE))
        if name not in options.RESUMABLE:
            raise UsageError(options.cannot_change(options.flag(name)))
    config = options.make_config(options.flatten(run.config), changes)
    with joined(config.run.device) as group:
        return _continue(run, config, source, view if view and group.first else View(), group)


def open_source(config: Config, source: Any, view: View, run: Run | None) -> tuple[Data, Config]:
    """The data, and the configuration with every ``auto`` resolved and all places absolute.

    Args:
        config: What says where they are.
        source: The data, when it is not what ``config.data`` names.
        view: Where progress is shown.
        run: The run that goes on with them, if one does.

    Raises:
        UsageError: The run's data were an object, and it is not given again.
        WganError: They are not where they were.
    """
    if isinstance(source, str | os.PathLike):
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, data=place_of(source)))
        source = None
    if source is None and config.data.data == OBJECT:
        raise UsageError(
            "the data were an object in Python; give it again, as the argument data, or say where it is with --data."
        )
    if source is None and run is not None:
        resuming.check_data_is_there(config, run)
    try:
        data = open_data(config.data.data if source is None else source, config.data, progress=view.progress)
    finally:
        view.end()
    config = dataclasses.replace(config, data=_settled(config.data, source, run))
    return data, resolve(config, data)


def _settled(given: DataConfig, source: Any, run: Run | None) -> DataConfig:
    """How the data are found again, from another folder too, and the options that they were read with."""
    if source is not None:
        name = OBJECT if run is None else run.config.data.data
    elif Path(given.data).exists() and given.data not in DATASETS:
        name = options.valid("data", str(Path(given.data).absolute()))
    else:
        name = given.data
    folder = given.data_dir and options.valid("data_dir", str(at_home(given.data_dir).absolute()))
    settled = dataclasses.replace(given, data=name, data_dir=folder)
    if run is None and isinstance(source, Data) and (opened := source.options):  # before, and by its own options
        kept = {key: getattr(settled, key) for key in ("data", "data_dir", "download", "flip")}
        return dataclasses.replace(opened, **kept)
    return settled


def _at_home(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else at_home(path)


def _begin(config: Config, source: Any, folder: Path | None, weights: Path | None, view: View, group: Group) -> Parts:
    """Prepare a new run, after what can be refused before data are read."""
    check(config)
    if weights is not None and not weights.is_file():
        Run.open(weights)
    if folder is not None and group.first:
        Run(folder).check_empty()
    parts = _prepare(config, source, view, group)
    if weights is not None:
        resuming.take_weights(parts.trainer, weights)
    if config.run.tensorboard:
        require_tensorboard()
    return parts


def _tell(parts: Parts, folder: str, view: View) -> None:
    view.facts(facts_of(parts.config, parts.data, parts.trainer, parts.plan, parts.threads, folder))
    for note in parts.data.report.notes:
        view.note(note)


def _prepare(config: Config, source: Any, view: View, group: Group, run: Run | None = None) -> Parts:
    """Open the data and build everything.

    Raises:
        UsageError: Several processes are wanted, and nobody started them.
    """
    wanted = config.run.processes
    if wanted > 1 and group.size == 1 and not worker.place().launched:
        command = "wgan train" if run is None else f"wgan resume {run.quoted}"
        raise UsageError(
            f"processes={wanted}: Python code starts no processes; use the command line, {command} --processes "
            f"{wanted}, start the script with torchrun --nproc-per-node {wanted}, or give processes=1."
        )
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, processes=group.size))
    group.check_alike(options=resuming.hash_of(config))
    threads = set_threads(config.run.threads, group.local_size)
    with group.local_first():  # which may have to read the data into the cache
        data, config = open_source(config, source, view, run)
    return Parts(config, data, *make_trainer(config, data, group), threads)


def _make_folder(parts: Parts, out: Path | None, name: str, weights: Path | None, group: Group) -> Run:
    """The new run's folder, which the first process makes."""
    if not group.first:
        return Run(Path(str(out)))
    run = parts.config.run
    described = describe_environment(run.device, parts.threads, group.size)
    described["init_from"] = weights and str(weights.absolute())
    return Run.create(parts.config, out, name, described)


def _continue(run: Run, config: Config, source: Any, view: View, group: Group, *, ours: bool = False) -> Run:
    """Go on with a run: one that was named, or one that is ``ours``, begun by this launch or one of the same name."""
    again = worker.place().restarts > 0
    if again:
        view.note("a process was lost, and all have started again.")
    elif ours:
        view.note(f"going on with {run.folder}, which a launch of this name began.")
    if group.first and not again:  # else a process that is lost may not have let go of it yet
        with run.lock():  # before a long preparation for nothing
            pass
    parts = _prepare(config, source, view, group, run)
    trainer, plan = parts.trainer, parts.plan
    due = plan.due(0)
    with run.lock() if group.first else nullcontext():
        if ours:
            resuming.check_same_options(parts.config, run)
        if group.first_says(run.was_saved):
            tensors, counters = run.restore()
            resuming.check_same_data(counters["data"], parts.data, run)
            resuming.check_same_config(counters["config"], parts.config, run)
            trainer.decay = saved_decay(counters)  # moved below, if the budget is another
            restore(trainer, tensors, counters)
            due = Due(*counters.get("due", plan.due(trainer.step)))
        else:  # killed in its first moment, it begins again
            resuming.check_same_place(parts.config, run)
            if init_from := run.environment.get("init_from"):
                resuming.take_weights(trainer, Path(init_from))
        # After reading, so that the first process writes nothing before all have read.
        if group.first_says(resuming.is_used_up(plan.budget, trainer, run)):
            launcher = worker.place().launcher_id
            if group.first_says(again and bool(launcher) and run.summary.get("launcher") == launcher):
                return run  # the process was lost when all was done
            raise resuming.used_up_error(plan.budget, trainer, run)
        if note := resuming.move_decay(trainer, plan):
            view.note(note)
        if group.first:
            _rewind(run, parts, view, due)
        return train_to_the_end(run, parts, view, group, due)


def _rewind(run: Run, parts: Parts, view: View, due: Due) -> None:
    """Bring the folder back to the last save, and say so.

    Args:
        run: The run.
        parts: What goes on in it.
        view: Where it is said.
        due: Whether the record and the picture of its step were due when it was saved; else only the end of training
            made them, and they go.
    """
    config, data, trainer, plan, threads = parts
    later = any(record["step"] > trainer.step for record in run.records())
    lost = "; records of later steps are made again" if later else ""
    start = f"step {trainer.step:,}, the last save" if run.was_saved else "the beginning: nothing was saved yet"
    view.note(f"going on from {start}{lost}.")
    run.rewind(trainer.step, *due)
    run.write_config(config)
    view.facts(facts_of(config, data, trainer, plan, threads, str(run.folder)))
