"""Checks before training: whether networks, batch and data suit each other, and whether the critic mixes a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from wgan.constraints import Constraint, GradientNormPenalty
from wgan.data.samples import Data
from wgan.errors import UsageError, WganError
from wgan.networks import Latent
from wgan.networks.base import detached_copy
from wgan.networks.layers import has_batch_norm
from wgan.objectives import Objective
from wgan.optimizers import MakeOptimizer
from wgan.schedule import Decay
from wgan.slopes import does_more
from wgan.trainer.outputs import check_same_shape, flat_scores
from wgan.words import first_line, is_out_of_memory

KINDS = {
    "generator": nn.Module,
    "critic": nn.Module,
    "objective": Objective,
    "constraint": Constraint,
    "decay": Decay,
}
NEEDED = ("generator", "critic", "warmup")
EXAMPLES = {
    "generator": "nn.Sequential(...)",
    "critic": "nn.Sequential(...)",
    "objective": "Wasserstein()",
    "constraint": "LipschitzPenalty(10.0)",
    "decay": "Decay(0, 10_000)",
    "warmup": "(25, 100)",
    "optimizer": "Adam((0.0, 0.9))",
}
MIXING = (
    *(nn.modules.batchnorm._BatchNorm, nn.MultiheadAttention, nn.RNNBase),
    *(nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin),
)
"""Layers that mix a batch, or may do so: by the axis they run along, or because a batch is a sequence to them."""


def check_kinds(**given: object) -> None:
    """Refuse arguments that are names, classes or something else where an object is needed, or None for the usual one.

    Raises:
        UsageError: One is; or it is None, and there is no usual one.
    """
    for name, value in given.items():
        if value is None and name not in NEEDED:
            continue
        if name == "warmup":
            right = isinstance(value, tuple) and len(value) == 2
        else:
            right = isinstance(value, KINDS[name]) if name in KINDS else _makes_optimizers(value)
        if not right:
            raise UsageError(f"{name} is {value!r}; give an object such as {EXAMPLES[name]}.")


def _makes_optimizers(given: object) -> bool:
    return callable(given) and (not isinstance(given, type) or issubclass(given, torch.optim.Optimizer))


def optimizer_of(make: MakeOptimizer, weights: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """The optimizer of these weights, all of them and no others.

    Raises:
        UsageError: It cannot be made, or is something else.
    """
    how = "give a class of torch.optim, or a function as in lambda weights, lr: torch.optim.Adam(weights, lr)"
    try:
        made = make(weights, lr)
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer is called with weights and a learning rate, and fails: {error}; {how}.") from error
    if not isinstance(made, torch.optim.Optimizer):
        raise UsageError(f"optimizer makes {made!r}, which is no optimizer; {how}.")
    if {id(weight) for group in made.param_groups for weight in group["params"]} != set(map(id, weights)):
        raise UsageError(f"optimizer makes one of other weights than it is given, for two networks need two; {how}.")
    return made


def check_attached(made: Tensor, what: str) -> None:
    """Refuse samples or scores from which no gradient leads back to the weights that made them.

    Raises:
        UsageError: They are such.
    """
    if not made.requires_grad:
        raise UsageError(f"{what} are cut off from its weights, as by detach(), no_grad() or numpy: it cannot learn.")


def check_objective(objective: Objective, scores: Tensor) -> None:
    """Refuse an objective whose losses cannot be minimised, having tried them on scores (N,) that need gradients.

    Raises:
        UsageError: A loss is not one number that is computed from the scores.
    """
    losses = {"critic_loss": objective.critic_loss(scores, scores), "generator_loss": objective.generator_loss(scores)}
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.shape or not loss.requires_grad:
            made = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) and loss.shape else f"{loss!r}"
            raise UsageError(
                f"{type(objective).__name__}.{name} gives {made}; give a tensor of one number, computed from the "
                "scores as by -fake.mean(), so that gradients reach them."
            )


def check_networks(generator: nn.Module, critic: nn.Module, batch: int, processes: int) -> torch.dtype:
    """Refuse networks that cannot be trained together, on batches of this size; else give the type of their weights.

    Raises:
        UsageError: One has nothing to train, or no weights of float32 or float64, or they have different types of
            numbers, or share weights, or have a state that cannot be saved; or the batch cannot be divided among the
            processes, or leaves one too little for batch norm.
    """
    for name, network in (("generator", generator), ("critic", critic)):
        _check_trainable(network, name)
        _check_can_be_saved(network, name)
    trained = ({id(w) for w in network.parameters() if w.requires_grad} for network in (generator, critic))
    if set.intersection(*trained):
        raise UsageError(
            "generator and critic share weights, which both would train; give each its own (copy.deepcopy)."
        )
    types = [next(w.dtype for w in network.parameters() if w.requires_grad) for network in (generator, critic)]
    if types[0] != types[1]:
        raise UsageError(f"the generator is of {types[0]} and the critic of {types[1]}; make both the same with .to().")
    part, rest = divmod(batch, processes)
    if rest or not part:
        nearest = max(1, round(batch / processes)) * processes
        raise UsageError(
            f"--batch: {batch} samples cannot be divided among {processes} processes; use {nearest}, or --processes "
            f"{most_processes(batch, processes)}."
        )
    if part < 2 and (has_batch_norm(generator) or has_batch_norm(critic)):
        each = " of each process" if processes > 1 else ""
        raise UsageError(f"batch norm needs at least 2 samples in a batch{each}; use a larger --batch, or norm layer.")
    return types[0]


def most_processes(batch: int, limit: int) -> int:
    """The most processes up to a limit among which a batch can be divided: a resume keeps its batch."""
    return next(n for n in range(limit, 0, -1) if batch % n == 0)


def _check_trainable(module: nn.Module, name: str) -> None:
    if not any(weight.requires_grad for weight in module.parameters()):
        raise UsageError(f"the {name} has no weights to train; give it some, or let some have requires_grad=True.")
    if any(not is_lazy(weight) and weight.is_inference() for weight in module.parameters()):
        raise UsageError(f"the {name} was made under torch.inference_mode() and cannot learn; make it outside.")
    types = {weight.dtype for weight in module.parameters() if weight.requires_grad}
    if not types <= {torch.float32, torch.float64}:
        raise UsageError(
            f"the {name} has weights that are neither float32 nor float64; keep them float32 (narrower ones lose small "
            "steps), and say precision=torch.bfloat16."
        )


def _check_can_be_saved(network: nn.Module, name: str) -> None:
    for key, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            raise UsageError(
                f"the {name} has {key} of type {type(value).__name__} in its state, and only tensors can be saved; let "
                "get_extra_state give a tensor, or keep it in a buffer."
            )


def first_sample(sample: Callable[[int], Tensor], latent: Latent) -> Tensor:
    """A generator's first sample.

    Raises:
        UsageError: The generator does not take the noise.
    """
    try:
        return sample(1)
    except Exception as error:  # a user's network may raise anything
        if isinstance(error, WganError) or is_out_of_memory(error):  # the latter is said in other words
            raise
        raise UsageError(f"the generator fails on noise (N, {latent.size}): {first_line(error)}") from error


def check_data(critic: nn.Module, made: Tensor, data: Data, constraint: Constraint) -> None:
    """Refuse data that networks cannot be trained on.

    Args:
        critic: The critic.
        made: A single generated sample (1, ...).
        data: What is to be trained on and measured with.
        constraint: What keeps the critic Lipschitz.

    Raises:
        UsageError: The generated sample is not shaped like the data; the critic does not take it; or it has batch norm,
            and there is a single sample to measure with, trained on or held out.
    """
    check_same_shape(made, data.train.batch(torch.arange(1, device="cpu")))
    one_by_one = any(isinstance(part, GradientNormPenalty) for part in constraint.parts)
    _check_scores(critic, made, one_by_one)
    if has_batch_norm(critic):
        _check_sides(data)


def _check_scores(critic: nn.Module, made: Tensor, one_by_one: bool) -> None:
    like = next(weight for weight in critic.parameters() if weight.requires_grad)
    samples, copy = made.to(like), detached_copy(critic).eval()
    try:
        with torch.no_grad():
            scores = copy(torch.cat([samples, samples]))  # for it may look at their spread
            again, beside = (copy(torch.cat([samples, other])) for other in (samples, 0.5 - samples))
    except Exception as error:
        if isinstance(error, WganError) or is_out_of_memory(error):
            raise
        raise UsageError(f"the critic fails on samples {tuple(samples.shape)}: {first_line(error)}") from error
    first, second, third = (flat_scores(each, 2)[0] for each in (scores, again, beside))
    if one_by_one and torch.equal(first, second) and not torch.allclose(first, third, rtol=1e-3, atol=1e-5):
        raise UsageError(
            "the critic's score of a sample depends on the others in its batch, so that a gradient penalty has no "
            "gradient norm per sample to look at; use a critic that scores each alone, or weight clipping."
        )


def mixes(critic: nn.Module) -> bool:
    """Whether a critic's scores may depend on what else is in the batch, as under batch norm.

    They cannot if all its layers are PyTorch's or wgan's, none of them mixes a batch, and no hook or forward of a
    user's own was set on one.
    """
    return any(isinstance(part, MIXING) or does_more(part) or not _is_known(part) for part in critic.modules())


def _is_known(part: nn.Module) -> bool:
    # Not all of torch: what torch.fx and torch.jit make of a user's module is of a class of theirs.
    return parametrize.type_before_parametrizations(part).__module__.startswith(("torch.nn.", "wgan."))


def _check_sides(data: Data) -> None:
    sides = ("held-out", data.held_out, "--held-out 2"), ("training", data.train, "more data")
    for side, samples, remedy in sides:
        if samples.size == 1:
            raise UsageError(
                f"batch norm in the critic needs at least 2 {side} samples to measure with, and there is 1; "
                f"use {remedy}, or norm='layer' (--critic-norm layer)."
            )
