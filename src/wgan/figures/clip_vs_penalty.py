r"""Critics under weight clipping and under the gradient penalty: what they see, their weights, and their gradients.

The generator stands still: it gives real samples with noise N(0, 1), as in the paper.

References:
    Improved Training of Wasserstein GANs (Gulrajani et al., 2017), figure 1, https://arxiv.org/abs/1704.00028
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from wgan.arrays import Floats
from wgan.constraints import Constraint, GradientPenalty, WeightClipping
from wgan.figures.critics import beside_noise, perceptron, trained
from wgan.figures.style import BLUE, GREY, ORANGE, YELLOW, blank, tidy
from wgan.objectives import Wasserstein

METHODS: Mapping[str, tuple[str, str, Constraint]] = {
    "clip_0.1": ("clipping, c = 0.1", ORANGE, WeightClipping(0.1)),
    "clip_0.01": ("clipping, c = 0.01", YELLOW, WeightClipping(0.01)),
    "gp": ("gradient penalty", BLUE, GradientPenalty(1.0)),
}
ROLL = "swissroll"
TOYS = {"ring": "8 Gaussians", "grid": "25 Gaussians", ROLL: "Swiss roll"}
SURFACES = ("clip_0.1", "gp")
STEPS, BATCH, LR = 500, 256, 3e-3
"""How the critics of the surfaces are trained."""
DEPTH, DEEP_STEPS = 12, 300
"""Hidden layers of the deep critics, whose gradients are measured layer by layer, and how long they are trained."""
HALF, SIDE = 2.6, 61
"""The surfaces are drawn from -HALF to HALF, with SIDE x SIDE scores."""


@dataclass(frozen=True)
class Critics:
    """What trained critics are like.

    Attributes:
        scores: By method and toy: scores (SIDE, SIDE) on the plane, the rows at y.
        points: By toy: real samples (N, 2).
        weights: By method: all weights (K,) of the critic of the Swiss roll.
        gradients: By method: mean norm of the loss's gradient after each hidden layer of a deep critic (DEPTH,).
    """

    scores: dict[tuple[str, str], Floats]
    points: dict[str, Floats]
    weights: dict[str, Floats]
    gradients: dict[str, Floats]

    def summary(self) -> dict[str, float]:
        """The share of weights within 1 % of the largest, and the gradient at the first layer over that at the last."""
        sizes = {name: np.abs(weights) for name, weights in self.weights.items()}
        at_bound = {f"{name}_at_bound": float((size > 0.99 * size.max()).mean()) for name, size in sizes.items()}
        return at_bound | {f"{name}_first_over_last": float(g[0] / g[-1]) for name, g in self.gradients.items()}


def compute(seed: int = 0) -> Critics:
    """Train the critics, and look at them."""
    scores, weights, gradients = {}, {}, {}
    for method, (_, _, constraint) in METHODS.items():
        critics = {}
        for toy in TOYS if method in SURFACES else [ROLL]:
            critic, batches = perceptron(2, seed, width=128), beside_noise(toy, BATCH, seed)
            critics[toy] = trained(critic, batches, Wasserstein(), constraint, steps=STEPS, lr=LR, seed=seed)
            scores[method, toy] = surface(critics[toy])
        of_roll = (w.detach().numpy().ravel() for w in critics[ROLL].parameters() if w.dim() > 1)
        weights[method] = np.concatenate(list(of_roll))
        deep, batches = perceptron(2, seed, depth=DEPTH), beside_noise(ROLL, BATCH, seed)
        trained(deep, batches, Wasserstein(), constraint, steps=DEEP_STEPS, seed=seed)
        gradients[method] = layer_gradients(deep, *batches(DEEP_STEPS))
    points = {toy: beside_noise(toy, 400, seed)(0)[0].double().numpy() for toy in TOYS}
    return Critics(scores, points, weights, gradients)


@torch.no_grad()
def surface(critic: nn.Module) -> Floats:
    """The critic's scores (SIDE, SIDE) on a grid in the plane."""
    ticks = torch.linspace(-HALF, HALF, SIDE)
    points = torch.cartesian_prod(ticks, ticks).flip(1)
    values: Floats = critic(points).double().numpy().reshape(SIDE, SIDE)
    return values


def layer_gradients(critic: nn.Module, real: Tensor, fake: Tensor) -> Floats:
    """The mean over samples of the norm of the loss's gradient with respect to what each hidden layer returns."""
    outputs: list[Tensor] = []
    stages = [module for module in critic.features if isinstance(module, nn.Sequential)]  # type: ignore[union-attr]
    hooks = [stage.register_forward_hook(lambda _module, _given, output: outputs.append(output)) for stage in stages]
    scores = critic(torch.cat([real, fake])).double()
    for hook in hooks:
        hook.remove()
    loss = len(real) * Wasserstein().critic_loss(scores[: len(real)], scores[len(real) :])
    return np.array([float(g.norm(dim=1).mean()) for g in torch.autograd.grad(loss, outputs)])


def draw(numbers: Critics) -> Figure:
    """Surfaces above, weights and gradients below."""
    figure = blank(11, 11)
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(2, 0.95))
    for row, method in zip(top.subplots(2, 3, sharex=True, sharey=True), SURFACES, strict=True):
        for axes, toy in zip(row, TOYS, strict=True):
            _surface(axes, numbers.scores[method, toy], numbers.points[toy])
            first, last = method == SURFACES[0], method == SURFACES[-1]
            axes.set_title(TOYS[toy] if first else "", loc="left", fontsize=11, weight="bold")
            axes.set(xlabel="x" if last else "", ylabel=f"{METHODS[method][0]}\ny" if toy == "ring" else "")
    top.suptitle("Scores of trained critics: dark is high; real samples are orange", x=0.02, ha="left", fontsize=11)
    *histograms, last = bottom.subplots(1, 4, width_ratios=(1, 1, 1, 1.6))
    for axes, (method, weights) in zip(histograms, numbers.weights.items(), strict=True):
        label, colour, _ = METHODS[method]
        axes.hist(weights, 41, color=colour, weights=np.full(len(weights), 100 / len(weights)))
        tidy(axes, label, "weight", "share of weights (%)" if method == "clip_0.1" else "")
    for method, gradients in numbers.gradients.items():
        label, colour, _ = METHODS[method]
        last.semilogy(np.arange(1, DEPTH + 1), gradients, "o-", color=colour, ms=4, label=label)
    tidy(
        last,
        f"Gradients, {DEPTH} hidden layers",
        "hidden layer",
        "mean gradient norm",
        xticks=range(1, DEPTH + 1),
    )
    last.legend(frameon=False, fontsize=9)
    return figure


def _surface(axes: Axes, scores: Floats, points: Floats) -> None:
    ticks = np.linspace(-HALF, HALF, SIDE)
    axes.contourf(ticks, ticks, scores, levels=11, cmap="Blues", alpha=0.8)
    axes.contour(ticks, ticks, scores, levels=11, colors=GREY, linewidths=0.6, linestyles="solid")
    axes.plot(*points.T, "o", ms=2, mew=0, color=ORANGE, alpha=0.8)
    axes.set(aspect="equal", xlim=(-HALF, HALF), ylim=(-HALF, HALF))
