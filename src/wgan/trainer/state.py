"""A trainer as a flat dictionary of tensors, which is what a safetensors file holds, and a few counters."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wgan.errors import WganError
from wgan.files import at_home
from wgan.model import UnreadableError, read_tensors, save_tensors
from wgan.schedule import Decay
from wgan.trainer import Trainer
from wgan.words import count


def snapshot(trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that an exact continuation needs: tensors under flat names, and JSON-able counters.

    Random streams and the order of the data are functions of the seed and these counters. The tensors are the
    trainer's own: write or copy them before it goes on.

    Raises:
        WganError: An optimizer keeps what no file holds.
    """
    tensors = {
        **prefixed("generator", trainer.generator.state_dict()),
        **prefixed("critic", trainer.critic.state_dict()),
        **prefixed("average", trainer.average.module.state_dict()),
        **prefixed("ledger", trainer.ledger.state()),
    }
    made = dict[str, dict[str, Any]]()
    for name, optimizer in _optimizers(trainer).items():
        own, others = optimizer_state(optimizer)
        tensors |= prefixed(name, own)
        made[name] = {"kind": type(optimizer).__name__, "others": others}
    counters = {"step": trainer.step, "critic_updates": trainer.critic_updates, "seconds": trainer.seconds}
    return tensors, counters | settings(trainer) | {"last_record": list(trainer.last_record), "optimizers": made}


def settings(trainer: Trainer) -> dict[str, Any]:
    """What defines the steps that a trainer takes, JSON-able: all but the networks, the data and the machine.

    Of objectives and constraints of your own the name and the weight are known, and not what else they are made of.
    """
    steps, decay = trainer.critic_steps, trainer.decay
    rates = {f"{name}_lr": [float(rate) for rate in each.first] for name, each in trainer.rates.items()}
    return {
        "batch": trainer.batch,
        "seed": trainer.seed,
        "flip": bool(trainer.flip),
        "latent": repr(trainer.latent),
        "objective": type(trainer.objective).__name__,
        "constraint": repr(trainer.constraint),
        "instance_noise": float(trainer.instance_noise),
        "critic_steps": int(steps.usual),
        "warmup": [int(steps.warmup_steps), int(steps.warmup)] if steps.warmup_steps else None,
        "reuse": bool(trainer.reuse),
        "ema_half_life": float(trainer.average.half_life),
        **{name: first[0] if len(set(first)) == 1 else first for name, first in rates.items()},
        "decay": None if decay is None else [int(decay.start), int(decay.end)],
    }


def saved_decay(counters: Mapping[str, Any]) -> Decay | None:
    """The decay of a snapshot, for a trainer whose own may be another, as when a run goes on with a larger budget."""
    return Decay(*counters["decay"]) if counters["decay"] else None


def restore(trainer: Trainer, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
    """Let a trainer go on exactly where a snapshot was taken.

    Raises:
        WganError: Its settings, networks or optimizers are not those of the snapshot; it stays as it was.
    """
    for name, mine in settings(trainer).items():
        if (saved := counters.get(name, mine)) != mine:  # older saves have fewer of them
            raise WganError(f"the save is of a trainer with {name} {saved}, and this one has {mine}; make it alike.")
    networks = {"generator": trainer.generator, "critic": trainer.critic, "average": trainer.average.module}
    for name, network in networks.items():
        if difference := misfit(network, under(name, tensors)):
            raise WganError(
                f"the save does not fit the {name}: {difference}. Build the networks alike; if they are wgan's own, "
                "another version built them otherwise: go on with that one, or train a new run."
            )
    optimizers, made = _optimizers(trainer), counters["optimizers"]
    for name, optimizer in optimizers.items():
        _check_alike(optimizer, made[name]["kind"], made[name]["others"])
    for name, network in networks.items():
        network.load_state_dict(under(name, tensors))
    for name, optimizer in optimizers.items():
        load_optimizer(optimizer, under(name, tensors), made[name]["others"])
    trainer.ledger.load(under("ledger", tensors))
    trainer.step, trainer.critic_updates = counters["step"], counters["critic_updates"]
    seconds, images = counters["last_record"]
    trainer.clock.set(counters["seconds"])  # it starts again with the next step
    trainer.last_record = seconds, images


def misfit(network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """The first weight or buffer that a network and saved tensors do not share, in words; empty if there is none."""
    wanted, given = ({key: tuple(value.shape) for key, value in of.items()} for of in (network.state_dict(), tensors))
    for key in {**wanted, **given}:
        if wanted.get(key) != given.get(key):
            here, there = (of.get(key, "missing") for of in (wanted, given))
            return f"{key} is {here} here and {there} in it"
    return ""


def save(trainer: Trainer, path: str | PathLike[str]) -> None:
    """Write all that an exact continuation needs into one safetensors file, atomically.

    Raises:
        WganError: An optimizer keeps what no file holds.
        OSError: The disk is full, or the folder cannot be written.
    """
    tensors, counters = snapshot(trainer)
    save_tensors(at_home(path), tensors, {"counters": counters})


def load(trainer: Trainer, path: str | PathLike[str]) -> None:
    """Let a trainer that is built alike go on exactly where :func:`save` was called.

    Another decay can be set afterwards, as ``trainer.decay``.

    Raises:
        WganError: The file cannot be read, is damaged or of something else, or of other settings, networks or
            optimizers.
    """
    try:
        tensors, about = read_tensors(at_home(path), "counters")
    except UnreadableError as error:
        raise WganError(
            f"{path} is not what a trainer has saved ({error}); give a file that state.save wrote."
        ) from error
    restore(trainer, tensors, about["counters"])


def _optimizers(trainer: Trainer) -> dict[str, Optimizer]:
    return {"generator_optimizer": trainer.generator_optimizer, "critic_optimizer": trainer.critic_optimizer}


def _check_alike(optimizer: Optimizer, kind: str, others: Mapping[str, str]) -> None:
    """Refuse what :func:`optimizer_state` gave of an optimizer of another kind, or with other groups."""
    if (mine := type(optimizer).__name__) != kind:
        raise WganError(f"the save is of the optimizer {kind}, and this trainer has {mine}; make it alike.")
    saved = [len(json.loads(text)) for name, text in others.items() if re.fullmatch(r"group\.\d+\.params", name)]
    here = [len(group["params"]) for group in optimizer.param_groups]
    if saved != here:
        raise WganError(
            f"the save is of the optimizer {kind} with {_groups(saved)}, and this trainer's has {_groups(here)}; make "
            "it alike."
        )


def _groups(sizes: Sequence[int]) -> str:
    return f"{count(len(sizes), 'group')} (of {', '.join(map(str, sizes))} weights)"


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names that begin with ``prefix`` and a dot."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix`` and a dot, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_state(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All that an optimizer keeps: its tensors, and the rest as JSON, in which Python's numbers are exact.

    ``"state.3.exp_avg"`` is of its fourth parameter, and ``"group.0.lr"`` of its first group.

    Raises:
        WganError: It keeps something that is neither.
    """
    kept = optimizer.state_dict()
    parts = {"state": kept["state"], "group": dict(enumerate(kept["param_groups"]))}
    flat = {
        f"{part}.{number}.{key}": value
        for part, entries in parts.items()
        for number, values in entries.items()
        for key, value in values.items()
    }
    tensors = {name: value for name, value in flat.items() if isinstance(value, Tensor)}
    kind = type(optimizer).__name__
    return tensors, {name: _json(kind, name, value) for name, value in flat.items() if name not in tensors}


def _json(kind: str, name: str, value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise WganError(
            f"the optimizer {kind} keeps {value!r} ({name}), which cannot be saved; let it keep tensors, Python's "
            "numbers and texts, and lists of these two."
        ) from error


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], others: Mapping[str, str]) -> None:
    """Give an optimizer back what it kept, each tensor of a parameter's shape in the parameter's memory format."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    parts = {part: defaultdict[int, dict[str, Any]](dict) for part in ("state", "group")}
    for name, value in {**{name: json.loads(text) for name, text in others.items()}, **tensors}.items():
        part, number, key = name.split(".", 2)
        placed = _like(value, weights[int(number)]) if part == "state" and isinstance(value, Tensor) else value
        parts[part][int(number)][key] = placed
    optimizer.load_state_dict({"state": parts["state"], "param_groups": list(parts["group"].values())})


def _like(saved: Tensor, weight: Tensor) -> Tensor:
    like = torch.empty_like(weight, dtype=saved.dtype) if saved.shape == weight.shape else torch.empty_like(saved)
    return like.copy_(saved)
