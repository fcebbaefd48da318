"""What a run leaves in its folder while it trains: records, pictures, saves, and how it stands."""

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from wgan import worker
from wgan.build import Due, Plan, network_options
from wgan.config import Config
from wgan.data.samples import Data
from wgan.diagnosis import Watch, diagnose
from wgan.errors import LostError, WganError
from wgan.loop.facts import after_divergence, crowded
from wgan.loop.gallery import Gallery, Sparingly
from wgan.loop.resuming import fingerprint, fixed_options
from wgan.machine import processor
from wgan.machine.crowd import Crowd
from wgan.machine.environment import peak_memory
from wgan.networks import Generator, complete_options
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.trainer.ledger import DivergedError
from wgan.trainer.state import snapshot
from wgan.view import View
from wgan.words import first_line, printable


class NoWriter:
    """Hears of all that happens in a training, and does nothing: for the processes of a run that only compute."""

    def begin(self, due: Due) -> None:
        """Training begins, at a step at which a record and a picture were due or not."""

    def step(self, share: float) -> None:
        """A generator step is done, and this share of the budget is used up."""

    def record(self, record: Mapping[str, Any]) -> None:
        """A record was made."""

    def draw(self) -> None:
        """The generator's samples are to be drawn."""

    def sum_up(self) -> None:
        """A good moment to draw curves and animation again."""

    def save(self, due: Due) -> None:
        """All that an exact continuation needs is to be saved, and whether a record and a picture were due."""

    def end(self, due: Due, finished: bool, stopped: bool) -> None:
        """Training ends: its budget is used up, or it was asked to stop."""

    def close(self) -> None:
        """Nothing more happens, however it ended."""

    def fault(self, error: Exception) -> Exception:
        """Training ends by a fault: the error that tells what to do, or the same one."""
        return error


class RunWriter(NoWriter):
    """Writes into a run's folder.

    Args:
        run: The run, which nobody else writes.
        trainer: What trains in it.
        plan: When it ends, logs and draws.
        data: What it trains on.
        config: Its configuration.
        view: Where progress is shown.
    """

    def __init__(self, run: Run, trainer: Trainer, plan: Plan, data: Data, config: Config, view: View) -> None:
        self.run, self.trainer, self.data, self.config, self.view = run, trainer, data, config, view
        self._fingerprint = fingerprint(data)
        self._watch = Watch(run.records(), trainer.constraint)
        self._gallery = Gallery(run, trainer, data, config, self._watch.records, view)
        self._stale = set[Sparingly]()
        self._saved = trainer.step  # at which training goes on, or begins with a save
        threads = torch.get_num_threads()
        alone = config.run.processes == 1 and threads <= processor.cores()  # else its threads take each other's cores
        timed = plan.budget.steps is None  # else the same seed gives the same run, with the same threads
        self._crowd = Crowd(threads if alone else 1, follows=timed and config.run.threads is None)

    def begin(self, due: Due) -> None:
        self._summarise("training")
        if self.trainer.step == 0:
            self._gallery.reals()
            self._gallery.samples()
            self.save(due)

    def step(self, share: float) -> None:
        self.view.step(share, self.trainer.step)
        if number := self._crowd():
            self.view.note(crowded(self._crowd, number, self.run))

    def record(self, record: Mapping[str, Any]) -> None:
        self.run.log(record)
        self._gallery.scalars(record)
        self.view.tick(record)
        for finding in self._watch(record):
            self.view.note(f"{finding.text} {finding.advice}")
        self._stale.add(self._gallery.curves)

    def draw(self) -> None:
        self._gallery.samples()
        self._stale.add(self._gallery.animation)

    def sum_up(self) -> None:
        self._stale = {redraw for redraw in self._stale if not redraw()}

    def save(self, due: Due) -> None:
        tensors, counters = snapshot(self.trainer)
        about = {"data": self._fingerprint, "config": fixed_options(self.config), "due": list(due)}
        self.run.save(tensors, counters | about)
        self._saved = self.trainer.step
        generator, made = self.config.generator, self.trainer.generator
        assert isinstance(made, Generator)  # for it was made from the configuration
        network = {
            "family": generator.family,
            "shape": list(self.data.shape),
            "latent": dataclasses.asdict(self.trainer.latent),
            "options": complete_options(generator.family, network_options(generator)) | made.settled,
        }
        self.run.save_generator(self.trainer.average.module.state_dict(), network, self.data.units)

    def end(self, due: Due, finished: bool, stopped: bool) -> None:
        seconds = self.trainer.seconds  # as they are saved: what is drawn from here on is not counted
        self.save(due)  # before a word is said: whoever listened may be gone
        if stopped:
            self._summarise("interrupted", seconds)  # else who stops it at once would leave it as if it were killed
            self.view.note("stopping: all is saved; drawing the last curves and animation.")
        self._gallery.curves(now=True)
        if finished or self._gallery.animation in self._stale:
            self._gallery.animation(now=True)
        self._summarise("finished" if finished else "interrupted", seconds)

    def close(self) -> None:
        self._gallery.close()

    def fault(self, error: Exception) -> Exception:
        if isinstance(error, DivergedError):
            self._summarise(f"diverged: {error}")
            saved = f"its last good save is step {self._saved} in {self.run.folder}"
            return WganError(f"{error} The run has stopped; {saved}. {after_divergence(self.run)}")
        what = first_line(error)
        if isinstance(error, OSError) and error.filename:
            what = f"{error.filename}: {error.strerror}"
        what = printable(what).rstrip(".")
        with suppress(Exception):  # such as a full disk, which may be the fault itself
            self._summarise(f"failed: {what}")
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            return WganError(f"{what}; fix that, and go on with: wgan resume {self.run.quoted}")
        if isinstance(error, LostError):
            return LostError(
                f"{what}; if its launcher does not start it again, go on with: wgan resume {self.run.quoted}"
            )
        return error

    def _summarise(self, status: str, seconds: float | None = None) -> None:
        records, trainer = self._watch.records, self.trainer
        seconds = trainer.seconds if seconds is None else seconds
        findings = diagnose(records, trainer.constraint, ended=status != "training")
        self.run.write_summary(
            {
                "status": status,
                "launcher": worker.place().launcher_id,
                "steps": trainer.step,
                "images": trainer.images,
                "seconds": seconds,
                "images_per_second": trainer.images / seconds if seconds else None,
                "arbitrary_scale": trainer.constraint.arbitrary_under,
                "peak_memory": peak_memory(),
                "findings": [finding.to_json() for finding in findings],
                "final": records[-1] if records else {},
            }
        )
