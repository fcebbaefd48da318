"""The two critics of a measurement, and how they are trained.

The *free* critic is held by a penalty and finds more, at a slope that has to be looked at. The *certified* critic has
orthogonal weights, or is a lattice of planes, or the distance to a box, a grid or a subspace: it finds less, but its
slope is known.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wgan.confidence import stderr
from wgan.constraints import Constraint, LipschitzPenalty, Orthogonal, Unconstrained
from wgan.descent import descend
from wgan.distances.transport import assigned
from wgan.errors import WganError
from wgan.measure.muon import Muon
from wgan.measure.sides import Part, Sides
from wgan.networks import Critic, make_critic
from wgan.networks.one_lipschitz import Lattice, OffGrid, Outside, ReconstructionError
from wgan.optimizers import Adam
from wgan.schedule import Budget, Rates
from wgan.seeds import rng, seeded
from wgan.slopes import gradient_norms, segments

BATCH = 512
LOOKS, APART = 20, 10
"""How often a critic is looked at while it trains, and kept if it is the best so far; and how many steps at least lie
between, for a look takes as long as several."""

TRIAL = 0.1
"""Share of the budget after which the better of two critics goes on alone."""

SLOPES = 1024
"""Samples a side at which slopes are looked at."""

LEVELS = 64
"""Values of a number up to which samples are taken to lie on a grid: with 256, that of bytes, all pictures would."""

SPANS = (0, 8, 32, 128, 512)
"""How many principal components the subspaces have to which distances are tried."""

ANALYSED = 2**21
"""Numbers in the samples from which levels and principal components are computed: so that it takes seconds at most."""

ShareDone = Callable[[float], None]


@dataclass(frozen=True)
class Fitted:
    """A trained critic.

    Attributes:
        critic: As it was when it did best on samples that it was not trained on.
        slope: The mean of its gradient norms where mass moves; 1 if it is certified.
        steps: Steps taken.
        rise: By how much the estimate still rose in the last quarter of the budget.
    """

    critic: nn.Module
    slope: float
    steps: int
    rise: float


def fit_free(sides: Sides, budget: Budget, progress: ShareDone) -> Fitted:
    """Train a perceptron under a one-sided penalty, with the activation that does better at first.

    Its matrices are moved by Muon, which turns along all directions alike and learns the many small features of a
    potential in high dimension in a fraction of Adam's steps. Smooth activations are better in high dimension, and
    kinks in low.

    References:
        On the regularization of Wasserstein GANs (Petzka, Fischer, Lukovnikov, 2018), https://arxiv.org/abs/1709.08894
        Muon: An optimizer for hidden layers in neural networks (Jordan et al., 2024),
        https://kellerjordan.github.io/posts/muon/
    """
    rays = Rays(sides.part("validation"), sides.seed)
    return _better([_free(sides, budget, activation, rays) for activation in ("silu", "leaky_relu")], progress)


def fit_certified(sides: Sides, budget: Budget, progress: ShareDone) -> Fitted:
    """Train a perceptron with orthogonal weights and sorting activations, or a lattice, whichever does better at first.

    If the distance to the range of one side's samples, to the grid of their values, or to the subspace of their first
    principal components tells the sides apart better, that is the critic.

    References:
        Sorting out Lipschitz function approximation (Anil, Lucas, Grosse, 2019), https://arxiv.org/abs/1811.05381
    """
    learnt = _better([_orthogonal(sides, budget), _lattice(sides, budget)], progress)
    validation = sides.part("validation")
    distances_off = (
        critic for side, sign in zip(sides.part("train"), (-1.0, 1.0), strict=True) for critic in _off(side, sign)
    )
    best = max((learnt.critic, *distances_off), key=lambda critic: difference(critic, validation)[0])
    return replace(learnt, critic=best)


def _off(x: Tensor, sign: float) -> Iterator[nn.Module]:
    """Distances to where samples (N, D) are."""
    yield Outside(x.amin(0), x.amax(0), sign)
    few = x[: max(2, ANALYSED // x.shape[1])]
    if grid := OffGrid.of(few, sign, LEVELS):
        yield grid
    centre = few.mean(0)
    directions = torch.linalg.svd(few - centre, full_matrices=False)[2]
    for span in SPANS:
        if span < min(few.shape) / 2:
            yield ReconstructionError(centre, directions[:span].contiguous(), sign)


def difference(critic: nn.Module, part: Part, paired: bool = False) -> tuple[float, float]:
    """By how much the mean score of A is above that of B, and its standard error."""
    on_x, on_y = scores(critic, part.x), scores(critic, part.y)
    return float(on_x.mean() - on_y.mean()), stderr(on_x, on_y, paired) or 0.0


def scores(critic: nn.Module, x: Tensor) -> Tensor:
    """The critic's scores (n,) in float64, batch by batch."""
    with torch.no_grad():
        return torch.cat([critic(part).double() for part in x.split(8192)])


class Rays:
    r"""Points between samples of A and those of B that transport matches them with, where slopes are looked at.

    Of a ray of length d as much is looked at, from both its ends, as mass moves on it, :math:`\sqrt{d^2 - a b}`, where
    a and b are what samples of one side differ by: the rest is noise, and leads through where there are no samples.

    Args:
        part: Samples of both sides, of which the first 1,024 are matched.
        seed: Which point of each ray is looked at.
    """

    def __init__(self, part: Part, seed: int) -> None:
        n = min(SLOPES, len(part.x), len(part.y))
        x, y = (side[:n].double().numpy() for side in part)
        columns, lengths = assigned(x, y)
        noise = math.prod(float(assigned(side[: n // 2], side[n - n // 2 :])[1].mean()) for side in (x, y))
        moved = np.sqrt((lengths**2 - noise).clip(0.0)) / np.maximum(lengths, np.finfo(float).tiny)
        draw = rng(seed, "rays")
        reach, side = (torch.rand(n, device="cpu", dtype=torch.float32, generator=draw) for _ in range(2))
        reach = reach / 2 * torch.from_numpy(moved).float()
        positions = torch.where(side < 0.5, reach, 1 - reach)
        self.x, self.y = part.x[:n], part.y[:n][torch.from_numpy(columns)]
        self.points = segments(self.x, self.y, positions)

    def slope(self, critic: nn.Module) -> float:
        """The mean norm of the critic's gradient, each ray weighted by the difference that the critic sees along it.

        So it is the slope where mass moves: where it stays, a penalty lets the critic have any slope.
        """
        weights = (scores(critic, self.x) - scores(critic, self.y)).abs() + torch.finfo(torch.float64).tiny
        with torch.no_grad():
            return float((gradient_norms(critic, self.points).double() * weights).sum() / weights.sum())


class Training:
    """A critic on its way.

    Args:
        critic: To train.
        constraint: What keeps its slope.
        optimizers: Of all its weights.
        sides: What to tell apart.
        budget: How long.
        name: What its random streams are called.
        rays: Where to look at its slope, if that is not known.
    """

    def __init__(
        self,
        critic: nn.Module,
        constraint: Constraint,
        optimizers: tuple[Optimizer, ...],
        sides: Sides,
        budget: Budget,
        name: str,
        rays: Rays | None = None,
    ) -> None:
        self.critic, self.constraint, self.optimizers = critic, constraint, optimizers
        self.sides, self.budget, self.name = sides, budget, name
        self.rates = [Rates(optimizer) for optimizer in optimizers]
        self.validation = sides.part("validation")
        self.rays = rays
        self.best, self.slope, self.trace = critic, 1.0, [(0.0, -math.inf)]
        self.steps, self.looked, self.spent = 0, 0, 0.0

    def run(self, until: float, progress: ShareDone) -> Fitted:
        """Train until this share of the budget is used up, and keep the best critic seen."""
        while (share := self.budget.progress(self.steps, self.spent)) < until:
            began = time.perf_counter()
            self._step(share)
            self.steps += 1
            if share >= self.trace[-1][0] + 1 / LOOKS and self.steps >= self.looked + APART:
                self._look(share)
                progress(share)
            self.spent += time.perf_counter() - began
        self._look(share)
        early = [estimate for then, estimate in self.trace[1:] if then <= 0.75 * until]
        rise = self.trace[-1][1] - max(early) if early else abs(self.trace[-1][1])
        return Fitted(self.best, self.slope, self.steps, rise)

    def _step(self, share: float) -> None:
        for rates in self.rates:
            rates.scale(min(1.0, 1.3 * (1 - share)))
        x, y = self.sides.batch(self.steps, BATCH, f"{self.name} batch")
        on_x, on_y = self.critic(torch.cat([x, y])).chunk(2)
        loss = on_y.mean() - on_x.mean()
        draw = rng(self.sides.seed, f"{self.name} points", self.steps)
        descend(self.critic, self.constraint, self.optimizers, loss, x, y, self.steps, draw)

    def _look(self, share: float) -> None:
        """Keep the critic if it does better than ever on validation samples."""
        slope = 1.0 if self.rays is None else self.rays.slope(self.critic)
        estimate = difference(self.critic, self.validation)[0] / max(1.0, slope)
        if not math.isfinite(estimate):
            raise WganError("a critic diverged; remove extreme values from the samples, or use --method quadrature.")
        if estimate > max(value for _, value in self.trace):
            self.best, self.slope = copy.deepcopy(self.critic), slope
        self.trace.append((share, estimate))
        self.looked = self.steps


def _better(trials: list[Training], progress: ShareDone) -> Fitted:
    """Train all for a tenth of the budget each, then the best: until all their time is up, or its own steps are."""
    for done, trial in enumerate(trials):
        trial.run(TRIAL, _part_of(progress, done * TRIAL, len(trials)))
    best = max(trials, key=lambda trial: trial.trace[-1][1])
    best.spent += sum(trial.spent for trial in trials if trial is not best)
    return best.run(1.0, progress)


def _part_of(progress: ShareDone, before: float, trials: int) -> ShareDone:
    """Tells of one of several trials as a share of them all."""
    return lambda share: progress((before + share) / trials)


def _orthogonal(sides: Sides, budget: Budget) -> Training:
    constraint = Orthogonal()
    critic = constraint.prepare(_perceptron(sides, "relu"))
    adam = Adam((0.0, 0.9))(critic.parameters(), 3e-3)
    return Training(critic, constraint, (adam,), sides, budget, "orthogonal")


def _lattice(sides: Sides, budget: Budget) -> Training:
    with seeded(sides.seed, "weights of the lattice critic"):
        critic = Lattice(sides.dim)
    adam = Adam((0.9, 0.99))(critic.parameters(), 2e-3)
    return Training(critic, Unconstrained(), (adam,), sides, budget, "lattice")


def _free(sides: Sides, budget: Budget, activation: str, rays: Rays) -> Training:
    critic = _perceptron(sides, activation)
    matrices = [weight for weight in critic.features.parameters() if weight.dim() == 2]
    others = [weight for weight in critic.parameters() if all(weight is not matrix for matrix in matrices)]
    muon = Muon(matrices, lr=0.03, momentum=0.9)
    adam = Adam((0.9, 0.99))(others, 2e-3)
    return Training(critic, LipschitzPenalty(10.0), (muon, adam), sides, budget, activation, rays)


def _perceptron(sides: Sides, activation: str) -> Critic:
    with seeded(sides.seed, f"weights of the {activation} critic"):
        return make_critic("mlp", (sides.dim,), width=256, depth=3, activation=activation)
