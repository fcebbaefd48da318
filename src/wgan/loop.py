"""A whole run from beginning to end: train, log, draw, save, stop, go on."""

import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from wgan import options
from wgan.build import Plan, make_trainer, network_options, resolve, set_threads
from wgan.config import Config
from wgan.data import open_data
from wgan.data.samples import Data
from wgan.diagnosis import Watch, diagnose
from wgan.environment import describe_environment, peak_memory
from wgan.errors import UsageError, WganError
from wgan.facts import facts_of
from wgan.gallery import Gallery, require_tensorboard
from wgan.ledger import DivergedError
from wgan.networks import complete_options
from wgan.overview import more
from wgan.registry import DATASETS
from wgan.restart import (
    check_same_config,
    check_same_data,
    fingerprint,
    fixed_options,
    move_decay,
    take_weights,
)
from wgan.run import Run
from wgan.state import restore, snapshot
from wgan.trainer import Trainer
from wgan.view import View

OBJECT = "<an object in Python>"


SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if sys.platform != "win32" else []))


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop, and everything is saved.

    Attributes:
        run: The run.
        signal: What asked for it.
    """

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(f"stopped and saved; go on with: wgan resume {run.folder}")
        self.run, self.signal = run, number


class Stop:
    """Turns the first Ctrl-C, SIGTERM or hang-up into a wish to stop; a second one stops at once."""

    def __init__(self) -> None:
        self.signal = 0

    def __enter__(self) -> "Stop":
        here = threading.current_thread() is threading.main_thread()
        self._old = {s: signal.signal(s, self._hear) for s in SIGNALS} if here else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number


def train(
    config: Config,
    *,
    source: Any = None,
    out: str | Path | None = None,
    name: str = "run",
    init_from: str | Path | None = None,
    dry_run: bool = False,
    view: View | None = None,
) -> Run | None:
    """Make a new run and train it.

    Args:
        config: What to do.
        source: The data, when it is not what ``config.data`` names: an array or any object that has items.
        out: The run's folder; by default the next number under ``runs/``.
        name: What follows the number.
        init_from: A run or a ``generator.safetensors`` whose weights to begin with.
        dry_run: Show what would be done, and do nothing.
        view: Who hears of it.

    Returns:
        The run, or None after a dry run.

    Raises:
        UsageError, WganError: Something is wrong that the user can mend.
        Interrupted: Ctrl-C or SIGTERM came; everything is saved.
    """
    view = view or View()
    threads = set_threads(config.run.threads)
    data, config = open_source(config, source, view)
    trainer, plan = make_trainer(config, data)
    if init_from is not None:
        take_weights(trainer, Path(init_from))
    if config.run.tensorboard:
        require_tensorboard()
    run = None if dry_run else Run.create(config, out, name, describe_environment(config.run.device, threads))
    place = str(out or f"the next number under {Path('runs').absolute()}") if run is None else str(run.folder)
    view.facts(facts_of(config, data, trainer, plan, threads, place))
    for note in data.report.notes:
        view.note(note)
    if run is None:
        return None
    with run.lock():
        return _go(run, trainer, plan, data, config, view)


def resume(run: Run, changes: Mapping[str, Any], *, source: Any = None, view: View | None = None) -> Run:
    """Go on with a run exactly where its last save is.

    Args:
        run: The run.
        changes: New values of what may change: the budget, intervals, threads and device.
        source: The data, when it was given as an object.
        view: Who hears of it.

    Raises:
        UsageError, WganError: Something is wrong that the user can mend.
        Interrupted: Ctrl-C or SIGTERM came; everything is saved.
    """
    view = view or View()
    for name in changes:
        if name not in options.RESUMABLE:
            allowed = ", ".join(options.flag(field) for field in options.RESUMABLE)
            raise UsageError(f"{options.flag(name)} cannot change in a resumed run; only {allowed} can.")
    config = options.make_config(options.flatten(run.config), changes)
    threads = set_threads(config.run.threads)
    data, config = open_source(config, source, view)
    trainer, plan = make_trainer(config, data)
    with run.lock():
        if run.has_save:  # else it was killed in its first moment, and begins again
            tensors, counters = run.restore()
            check_same_data(counters["data"], data, run)
            check_same_config(counters["config"], config, run)
            restore(trainer, tensors, counters)
        if plan.budget.reached(trainer.step, trainer.seconds) and run.summary.get("status") == "finished":
            raise UsageError(
                f"{run.folder} has used up its budget (step {trainer.step}, {trainer.seconds:.0f} s in all); "
                f"give a larger total: {more(run)}"
            )
        if note := move_decay(trainer, plan):
            view.note(note)
        later = sum(record["step"] > trainer.step for record in run.records())
        lost = f"; {later} records of later steps are made again" if later else ""
        view.note(f"going on from step {trainer.step:,}, the last save{lost}.")
        run.rewind(trainer.step)
        run.write_config(config)
        view.facts(facts_of(config, data, trainer, plan, threads, str(run.folder)))
        return _go(run, trainer, plan, data, config, view)


def open_source(config: Config, source: Any, view: View) -> tuple[Data, Config]:
    """The data, and the configuration with every ``auto`` resolved.

    Raises:
        UsageError: The run's data were an object, and it is not given again.
    """
    if source is None and config.data.data == OBJECT:
        raise UsageError("this run was trained on an object in Python; give it again: wgan.resume(folder, data).")
    try:
        data = open_data(config.data.data if source is None else source, config.data, progress=view.progress)
    finally:
        view.end()
    name = OBJECT if source is not None else config.data.data
    if name in DATASETS and Path(name).exists():
        view.note(f"{name} is the data set of that name; write ./{name} for the folder or file here.")
    if source is None and Path(name).exists() and name not in DATASETS:
        name = str(Path(name).absolute())  # so that it is found from another folder too
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, data=name))
    return data, resolve(config, data)


def _go(run: Run, trainer: Trainer, plan: Plan, data: Data, config: Config, view: View) -> Run:
    network = {
        "family": config.generator.family,
        "shape": list(data.shape),
        "latent": dataclasses.asdict(trainer.latent),
        "options": complete_options("generator", config.generator.family, network_options(config.generator)),
    }

    def save() -> None:
        trainer.check()
        tensors, counters = snapshot(trainer)
        run.save(tensors, counters | {"data": fingerprint(data), "config": fixed_options(config)})
        run.save_generator(trainer.average.module.state_dict(), network, data.units)

    with Stop() as stop:
        _write_summary(run, trainer, plan, "training")
        view.begin(plan.budget.steps, plan.budget.progress(trainer.step, trainer.seconds))
        try:
            _loop(run, trainer, plan, Gallery(run, trainer, data, config), save, stop, view)
        except DivergedError as error:
            _write_summary(run, trainer, plan, f"diverged: {error}")
            raise WganError(f"{error} {_advice(run, trainer)}") from error
        finally:
            view.end()
    if stop.signal and run.summary["status"] == "interrupted":
        raise Interrupted(run, stop.signal)
    return run


def _loop(
    run: Run, trainer: Trainer, plan: Plan, gallery: Gallery, save: Callable[[], None], stop: Stop, view: View
) -> None:
    if trainer.step == 0:
        gallery.reals()
        gallery.samples()
        save()
    watch = Watch(run.records(), trainer.constraint)
    patience = plan.save.seconds or float("inf")
    saved = time.monotonic() - max(0.0, patience - 10)  # the first save comes early: most is lost at the beginning
    while not stop.signal and not plan.budget.reached(trainer.step, trainer.seconds):
        trainer.advance()
        view.step(plan.budget.progress(trainer.step, trainer.seconds), trainer.step)
        over = plan.budget.reached(trainer.step, trainer.seconds)
        if plan.log.due(trainer.step) or over:
            record = trainer.record(reset=plan.log.due(trainer.step))
            run.log(record)
            gallery.scalars(record)
            view.tick(record)
            for finding in watch(record):
                view.note(f"{finding.text} {finding.advice}")
            gallery.curves()
        if plan.sample.due(trainer.step) or over:
            trainer.check()
            gallery.samples()
            gallery.animation()
        if plan.save.due(trainer.step) or time.monotonic() - saved > patience:
            save()
            saved = time.monotonic()
    if stop.signal:
        view.note("stopping: saving, and drawing the last curves.")
    save()
    finished = plan.budget.reached(trainer.step, trainer.seconds)
    gallery.curves(now=True)
    gallery.animation(now=finished)
    gallery.close()
    _write_summary(run, trainer, plan, "finished" if finished else "interrupted")


def _write_summary(run: Run, trainer: Trainer, plan: Plan, status: str) -> None:
    records = run.records()
    on_grid = {"record": plan.log.due(trainer.step), "picture": plan.sample.due(trainer.step)}
    extra = [name for name, due in on_grid.items() if not due] if status == "finished" else []
    run.write_summary(
        {
            "status": status,
            "only_at_the_end": extra,
            "steps": trainer.step,
            "images": trainer.images,
            "seconds": trainer.seconds,
            "images_per_second": trainer.images / trainer.seconds if trainer.seconds else None,
            "arbitrary_scale": trainer.constraint.arbitrary_under,
            "peak_memory": peak_memory(),
            "findings": [finding.to_json() for finding in diagnose(records, trainer.constraint)],
            "final": records[-1] if records else {},
        }
    )


def _advice(run: Run, trainer: Trainer) -> str:
    _, counters = run.restore()
    lr, critic_lr = trainer.learning_rates
    return (
        f"The run has stopped; its last good save is step {counters['step']} in {run.folder}. Train anew with smaller "
        f"learning rates (now --critic-lr {critic_lr:g} --generator-lr {lr:g}), with --precision fp32, or with another "
        f"penalty weight (now: {trainer.constraint})."
    )
