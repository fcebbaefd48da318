"""From the first step of a run, or of what is left of it, to its end."""

import time
from signal import SIGINT
from typing import NamedTuple

from wgan.build import Due, Plan
from wgan.config import Config
from wgan.data.samples import Data
from wgan.errors import Stopped
from wgan.loop.stop import Stop
from wgan.loop.writer import NoWriter, RunWriter
from wgan.machine.memory import enough_memory, kept_memory
from wgan.parallel import Group
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.view import View


class Parts(NamedTuple):
    """What a run is made of."""

    config: Config
    data: Data
    trainer: Trainer
    plan: Plan
    threads: int


def train_to_the_end(run: Run, parts: Parts, view: View, group: Group, due: Due) -> Run:
    """Train a run until its budget is used up.

    Args:
        run: The run, at its beginning or where it was saved last.
        parts: What it is made of.
        view: Where progress is shown.
        group: The processes.
        due: Whether a record and a picture were due at the step where it is.

    Returns:
        The run.

    Raises:
        Stopped: Ctrl-C or SIGTERM came; everything is saved.
        WganError: Training cannot go on: there is not enough memory or room, or a number became NaN or infinite.
    """
    config, data, trainer, plan, _ = parts
    writer = RunWriter(run, trainer, plan, data, config, view) if group.first else NoWriter()
    too_large = (
        "there is not enough memory for a training step; a new run with a smaller --batch or --size, or narrower "
        f"networks (--generator-width, --critic-width), takes less. What was saved last is in {run.folder}; where "
        f"there is more memory it goes on: wgan resume {run.quoted}"
    )
    with Stop() as stop, kept_memory(), enough_memory(too_large):
        view.begin(plan.budget.steps, plan.budget.progress(trainer.step, trainer.seconds))
        try:
            number = _step_until_done(trainer, plan, writer, stop, group, due)
        except Exception as error:
            told = writer.fault(error)
            if told is error:
                raise
            raise told from error
        except KeyboardInterrupt as error:
            how = f"what was saved last goes on with: wgan resume {run.quoted}"
            raise Stopped(f"stopped at once; {how}", SIGINT) from error
        finally:
            writer.close()
            view.end()
    if number:
        raise Stopped(f"stopped and saved; go on with: wgan resume {run.quoted}", number)
    return run


def _step_until_done(trainer: Trainer, plan: Plan, writer: NoWriter, stop: Stop, group: Group, due: Due) -> int:
    """Train until the budget is used up, or a signal asks to stop, which it gives.

    A resumed run removes the record and picture that only the end made. Its intervals may differ, so each save stores
    what was due at its step (``due``: a record, a picture).
    """
    writer.begin(due)
    patience = plan.save.seconds or float("inf")
    saved = time.monotonic() - max(0.0, patience - 10)  # the first save comes early: most is lost at the beginning

    def decide() -> list[int]:
        """A signal that any process got, and whether time is up and a save due by the first one's clock."""
        over = plan.budget.reached(trainer.step, trainer.seconds)
        late = time.monotonic() - saved > patience
        return group.all_max(stop.signal, group.first and over, group.first and late)

    def report(logs: bool, draws: bool, saves: bool = False) -> None:
        if logs:
            writer.record(trainer.record(reset=due.record))  # which checks the numbers
        elif draws or saves:
            trainer.check()
        if draws:
            writer.draw()

    signal, over, late = decide()
    if over:  # it goes on with a budget that is used up: make the last record and picture, which were not due then
        report(not due.record, not due.picture)
    while not signal and not over:
        writer.sum_up()  # redraws curves and GIF, after a save that was due: a crash in drawing does not lose it
        trainer.advance()
        writer.step(plan.budget.progress(trainer.step, trainer.seconds))
        signal, over, late = decide()
        due = plan.due(trainer.step)
        ends = bool(signal or over)  # which saves in any case
        saves = ends or bool(late) or plan.save.due(trainer.step)
        report(bool(over) or due.record, bool(over) or due.picture, saves)
        if saves and not ends:
            writer.save(due)
            saved = time.monotonic()
    writer.end(due, finished=bool(over), stopped=bool(signal))
    return 0 if over else signal
