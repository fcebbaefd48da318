"""What a run takes over from an earlier one, and what it checks before it goes on."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wgan import options, worker
from wgan.build import Plan, decay_end
from wgan.config import Config
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.files import at_home
from wgan.model import Model
from wgan.overview import doubled_budget
from wgan.parallel import Group
from wgan.registry import DATASETS
from wgan.run import Run
from wgan.schedule import Budget, Decay
from wgan.trainer import Trainer
from wgan.trainer.state import misfit, under


def fixed_options(config: Config) -> dict[str, Any]:
    """The options that may not change when a run goes on, as JSON gives them back."""
    flat = {name: value for name, value in options.flatten(config).items() if name not in options.RESUMABLE}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}


def hash_of(config: Config) -> int:
    """A hash of the options that all processes must share."""
    text = json.dumps(fixed_options(config), sort_keys=True).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of what is not the same in both."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def check_same_config(saved: Mapping[str, Any], config: Config, run: Run) -> None:
    """Refuse to go on with settings that are not those of the last save.

    Raises:
        UsageError: ``config.toml`` was edited; the message names what.
    """
    found = fixed_options(config)
    saved = fixed_options(options.make_config(saved))  # with today's defaults for what it does not know
    changed = differing(saved, found)
    if changed:
        raise UsageError(
            f"{run.config_file} was edited: {', '.join(changed)} cannot change in a resumed run; "
            f"bring it back, or begin a new run with its weights: wgan train {_settings(run)} --init-from {run.quoted}"
        )


def check_same_options(config: Config, run: Run) -> None:
    """Refuse to go on with a run that a launch of the same name began with other settings.

    Raises:
        UsageError: They differ; the message names where.
    """
    begun, given = ({"data": each.data.data, **fixed_options(each)} for each in (run.config, config))
    changed = [options.flag(name) for name in differing(begun, given)]
    if changed:
        raise UsageError(
            f"--out: {run.folder} was begun by a launch of this name with another {', '.join(changed)}; "
            "give the same, or another folder and --rdzv-id."
        )


def check_data_is_there(config: Config, run: Run) -> None:
    """Refuse to look for a run's data where it no longer is.

    Raises:
        WganError: It is gone from there; the message says how to name its new place.
    """
    place = config.data.data
    known = place in DATASETS or place != run.config.data.data
    if not known and not at_home(place).exists():
        raise WganError(
            f"the data of {run.folder} is no longer at {place}; bring it back, or say where it is now with --data "
            f"PLACE, as in wgan resume {run.quoted} --data PLACE (or write its place as data into {run.config_file})."
        )


def check_same_place(config: Config, run: Run) -> None:
    """Refuse to look elsewhere for the data of a run without a save, which alone tells them from others.

    Raises:
        WganError: They would be looked for elsewhere.
    """
    place, before = config.data.data, run.config.data.data
    if place != before:
        raise WganError(
            f"{run.folder} has no save yet, so that nothing tells whether {place} is {before}, the data it was begun "
            "with; give those, or begin a new run."
        )


def is_used_up(budget: Budget, trainer: Trainer, run: Run) -> bool:
    """Whether a run has nothing left to do: it finished, or it went beyond a total of steps that was lowered since."""
    lowered = budget.steps is not None and trainer.step > budget.steps
    return lowered or (budget.reached(trainer.step, trainer.seconds) and run.status == "finished")


def begun_by_this_launch(folder: Path, group: Group) -> Run | None:
    """The run that this very launch has begun in a folder, before a process was lost and all started again."""
    run = Run(folder)
    launch = worker.place().launch
    ours = bool(launch) and run.config_file.is_file() and run.environment.get("launch") == launch
    return run if group.first_says(ours) else None


def used_up_error(budget: Budget, trainer: Trainer, run: Run) -> UsageError:
    """What tells that a run has nothing left to do."""
    if budget.steps is not None and trainer.step > budget.steps:
        finished = run.status == "finished"
        further = doubled_budget(run, trainer.step, trainer.seconds) if finished else f"wgan resume {run.quoted}"
        return UsageError(
            f"{run.folder} is at step {trainer.step:,}, beyond the {budget.steps:,} that are asked for now; ask for "
            f"more{': ' if finished else ', or go on as it was: '}{further}"
        )
    return UsageError(
        f"{run.folder} has used up its budget (step {trainer.step:,}, {trainer.seconds:.0f} s in all); give a larger "
        f"total: {doubled_budget(run, trainer.step, trainer.seconds)}"
    )


def take_weights(trainer: Trainer, path: Path) -> None:
    """Begin with the weights of another run (both networks), or of a saved generator.

    Raises:
        WganError: There are none.
        UsageError: They are of networks that are built otherwise.
    """
    if path.is_dir():
        tensors, _ = Run.open(path).restore()
        networks = {"critic": trainer.critic, "generator": trainer.generator}
        given = [(name, network, under(name, tensors)) for name, network in networks.items()]
        settings = f"{_settings(Run.open(path))}, or "
    else:
        given = [("generator", trainer.generator, Model.load(path).generator.state_dict())]
        settings = ""
    for name, network, weights in given:
        if difference := misfit(network, weights):
            raise UsageError(
                f"--init-from: the networks of {path} are not built like this run's; take its settings with {settings}"
                f"the options that it was trained with (of the {name}, {difference})."
            )
    for _, network, weights in given:
        network.load_state_dict(weights)
    # An average begins again: it forgets its first steps quickly, and would forget an old average, too.
    trainer.average.module.load_state_dict(trainer.generator.state_dict())


def move_decay(trainer: Trainer, plan: Plan) -> str | None:
    """Let a decay end with the budget, which a resumed run may have changed; says what it did.

    Raises:
        UsageError: The new budget has no number of steps.
    """
    old = trainer.decay
    if old is None or old.end == (end := decay_end(plan)):
        return None
    if trainer.step >= old.end:
        trainer.decay = Decay(trainer.step, end)
        return (
            f"the learning rates had fallen to 0 at step {old.end}: "
            f"they start again from step {trainer.step} and reach 0 at step {end}."
        )
    trainer.decay = Decay(old.start, end)
    return f"the learning rates now fall to 0 at step {end} instead of {old.end}."


def _settings(run: Run) -> str:
    return f"--config {shlex.quote(str(run.config_file))}"


_KNOWN = {"shape": "a sample's shape", "train": "the number to train on", "held_out": "the number held out"}


def fingerprint(data: Data) -> dict[str, Any]:
    """What tells a data set from another: its shape, its sizes, and hashes of its first and of all its samples."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (data.train, data.held_out):
        for index in torch.arange(min(64, part.size or 64)).split(1):  # of large pictures, all at once are gigabytes
            digest.update(part.batch(index).contiguous().numpy().tobytes())
    sizes = {"train": data.train.size, "held_out": data.held_out.size}
    known = {"shape": list(data.shape), **sizes, "content": digest.hexdigest()}
    return known if data.content is None else {**known, "all": data.content}


def check_same_data(saved: Mapping[str, Any], data: Data, run: Run) -> None:
    """Refuse to go on with other data.

    Raises:
        WganError: The data are not those of the last save.
    """
    found = fingerprint(data)
    changed = differing(saved, found)
    if changed:
        told = [f"{words} was {saved[name]} and is {found[name]}" for name, words in _KNOWN.items() if name in changed]
        raise WganError(
            f"the data of {run.folder} has changed since its last save, or is not what it was trained on "
            f"({', '.join(told) or 'some samples are others, or in another order'}); bring it back, or begin a new run "
            f"with its settings and weights: wgan train DATA {_settings(run)} --init-from {run.quoted}"
        )
