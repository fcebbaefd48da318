"""A trainer as a flat dictionary of tensors, which is what a safetensors file holds, and a few counters."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.optim import Optimizer

from wgan.errors import WganError
from wgan.files import at_home
from wgan.model import read_tensors, save_tensors
from wgan.schedule import Decay
from wgan.trainer import Trainer

DRAWS = ("batch", "seed")
"""What the data and the noise of a step are drawn by."""


def snapshot(trainer: Trainer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that an exact continuation needs: tensors under flat names, and JSON-able counters.

    Random streams and the order of the data are functions of the seed and these counters. The tensors are the
    trainer's own: write or copy them before it goes on.
    """
    tensors = {
        **prefixed("generator", trainer.generator.state_dict()),
        **prefixed("critic", trainer.critic.state_dict()),
        **prefixed("average", trainer.average.module.state_dict()),
        **prefixed("generator_optimizer", optimizer_tensors(trainer.generator_optimizer)),
        **prefixed("critic_optimizer", optimizer_tensors(trainer.critic_optimizer)),
        **prefixed("ledger", trainer.ledger.state()),
    }
    decay = None if trainer.decay is None else [trainer.decay.start, trainer.decay.end]
    counters = {"step": trainer.step, "critic_updates": trainer.critic_updates, "seconds": trainer.seconds}
    made = [{"kind": kind, "rates": rates} for kind, rates in map(_described, _optimizers(trainer))]
    draws = {name: getattr(trainer, name) for name in DRAWS}
    return tensors, counters | draws | {"decay": decay, "mark": list(trainer.mark), "optimizers": made}


def restore(trainer: Trainer, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
    """Let a trainer go on exactly where a snapshot was taken.

    Raises:
        WganError: Its networks, optimizers, batch or seed are not those of the snapshot; it stays as it was.
    """
    for name in DRAWS:
        if (saved := counters.get(name)) not in (None, mine := getattr(trainer, name)):
            raise WganError(f"the save is of a trainer with {name} {saved}, and this one has {mine}; make it alike.")
    made = list(zip(_optimizers(trainer), counters["optimizers"], strict=True))
    for optimizer, saved in made:
        if _described(optimizer)[0] != saved["kind"]:
            kind = type(optimizer).__name__
            raise WganError(
                f"the save is of the optimizer {saved['kind']}, and this trainer has {kind}; make it alike."
            )
    networks = {"generator": trainer.generator, "critic": trainer.critic, "average": trainer.average.module}
    for name, network in networks.items():
        if difference := misfit(network, under(name, tensors)):
            raise WganError(
                f"the save does not fit the {name}: {difference}. Build the networks alike; if they are wgan's own, "
                "another version built them otherwise: go on with that one, or train a new run."
            )
    for name, network in networks.items():
        network.load_state_dict(under(name, tensors))
    load_optimizer(trainer.generator_optimizer, under("generator_optimizer", tensors))
    load_optimizer(trainer.critic_optimizer, under("critic_optimizer", tensors))
    for optimizer, saved in made:
        for group, rate in zip(optimizer.param_groups, saved["rates"], strict=True):
            group["lr"] = rate
    trainer.ledger.load(under("ledger", tensors))
    trainer.step, trainer.critic_updates = counters["step"], counters["critic_updates"]
    seconds, images = counters["mark"]
    trainer.clock.set(counters["seconds"])  # it starts again with the next step
    trainer.mark = seconds, images
    trainer.decay = Decay(*counters["decay"]) if counters["decay"] else None


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
        OSError: The disk is full, or the folder cannot be written.
    """
    tensors, counters = snapshot(trainer)
    save_tensors(at_home(path), tensors, {"counters": counters})


def load(trainer: Trainer, path: str | PathLike[str]) -> None:
    """Let a trainer that is built alike go on exactly where :func:`save` was called.

    Raises:
        WganError: The file is damaged, or of something else, or of other networks or optimizers.
        OSError: It cannot be read.
    """
    try:
        tensors, about = read_tensors(at_home(path))
        counters = about["counters"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WganError(f"{path} is not what a trainer has saved; give a file that state.save wrote.") from error
    restore(trainer, tensors, counters)


def _optimizers(trainer: Trainer) -> tuple[Optimizer, Optimizer]:
    return trainer.generator_optimizer, trainer.critic_optimizer


def _described(optimizer: Optimizer) -> tuple[str, list[float]]:
    """Its kind, and the learning rate of each of its groups."""
    return type(optimizer).__name__, [float(group["lr"]) for group in optimizer.param_groups]


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names that begin with ``prefix`` and a dot."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix`` and a dot, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimizer's state, ``"3.exp_avg"`` being that of its fourth parameter, and ``"3.step|"`` a plain number."""
    entries = [
        (f"{number}.{key}", value)
        for number, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    ]
    return {name if isinstance(value, Tensor) else f"{name}|": torch.as_tensor(value) for name, value in entries}


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer its state back, each tensor in the memory format of its parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".", 1)
        like = parameters[int(number)]
        placed = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor.clone()
        state.setdefault(int(number), {})[key.removesuffix("|")] = tensor.item() if key.endswith("|") else placed
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
