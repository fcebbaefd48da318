"""Plain tables: a name, where the thing is, and a line of help. Nothing is imported before it is asked for."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Any, NamedTuple

from wgan.errors import UsageError


class Entry(NamedTuple):
    """A registered thing: ``"module:attribute"`` (or ``"module:"``) and a line of help."""

    target: str
    help: str

    def load(self) -> Any:
        """Import the thing and return it."""
        return resolve_name(self.target)


NETWORKS: Mapping[str, Entry] = {
    "mlp": Entry("wgan.networks.mlp:", "fully connected layers, for vectors and small images"),
    "dcgan": Entry("wgan.networks.dcgan:", "strided convolutions, one a halving (Radford et al., 2015)"),
    "conv": Entry("wgan.networks.conv:", "3x3 convolutions with sizes kept even"),
    "resnet": Entry("wgan.networks.resnet:", "residual blocks (Gulrajani et al., 2017)"),
}

OBJECTIVES: Mapping[str, Entry] = {
    "wasserstein": Entry("wgan.objectives:Wasserstein", "the difference of mean scores (Arjovsky et al., 2017)"),
    "minimax": Entry("wgan.objectives:Minimax", "the saturating loss of the first GAN, log(1 - D)"),
    "non-saturating": Entry("wgan.objectives:NonSaturating", "the usual GAN loss, -log D"),
}

CONSTRAINTS: Mapping[str, Entry] = {
    "none": Entry("wgan.constraints:Unconstrained", "nothing: for the classic GAN losses"),
    "clip": Entry("wgan.constraints:WeightClipping", "every weight outside norm layers into [-weight, weight]"),
    "gp": Entry("wgan.constraints:GradientPenalty", "(|grad| - 1)^2 between real and generated samples"),
    "lp": Entry("wgan.constraints:LipschitzPenalty", "max(0, |grad| - 1)^2 between real and generated samples"),
    "r1": Entry("wgan.constraints:R1", "|grad|^2 / 2 at real samples"),
    "r2": Entry("wgan.constraints:R2", "|grad|^2 / 2 at generated samples"),
    "spectral": Entry("wgan.constraints:SpectralNorm", "every layer divided by its largest singular value"),
    "orthogonal": Entry("wgan.constraints:Orthogonal", "every matrix orthogonal: the critic's slope is at most weight"),
}

DATASETS: Mapping[str, Entry] = {
    "digits": Entry("wgan.data.named:digits", "10,000 MNIST digits that ship with the package (28x28, grey)"),
    "mnist": Entry("wgan.data.named:mnist", "60,000 + 10,000 digits (28x28, grey)"),
    "fashion-mnist": Entry("wgan.data.named:fashion_mnist", "60,000 + 10,000 pictures of clothes (28x28, grey)"),
    "cifar10": Entry("wgan.data.named:cifar10", "50,000 + 10,000 colour photos of ten kinds (32x32)"),
    "ring": Entry("wgan.data.toys:ring", "8 Gaussians on a circle in the plane, fresh samples without end"),
    "grid": Entry("wgan.data.toys:grid", "25 Gaussians on a square grid in the plane, fresh samples without end"),
    "swissroll": Entry("wgan.data.toys:swissroll", "a spiral in the plane, fresh samples without end"),
}

DISTANCES: Mapping[str, Entry] = {
    "quadrature": Entry(
        "wgan.distances.transport:quadrature",
        "exact W1, the samples' noise subtracted in quadrature: W1's scale where all samples move alike",
    ),
    "exact": Entry("wgan.distances.transport:exact", "W1 of the samples themselves, by exact transport"),
    "w2": Entry("wgan.distances.transport:w2", "W2 of the samples themselves, by exact transport"),
    "debiased": Entry("wgan.distances.transport:debiased", "W1 across less W1 within: a sharp test, on its own scale"),
    "line": Entry("wgan.distances.line:line", "W1 of single numbers, exact and quick"),
    "sliced": Entry(
        "wgan.distances.line:sliced", "mean W1 along 500 random directions, quick for any number of samples"
    ),
    "sinkhorn": Entry("wgan.distances.sinkhorn:sinkhorn", "Sinkhorn divergence: W1 smoothed by an entropy, debiased"),
    "energy": Entry("wgan.distances.kernels:energy", "energy distance, from the mean distances across and within"),
    "mmd": Entry("wgan.distances.kernels:mmd", "squared MMD, Gaussian kernel of the median width, unbiased"),
    "gaussian": Entry(
        "wgan.distances.gaussian:gaussian",
        "W2 of the Gaussians that fit the samples (FID is its square, in a network's features)",
    ),
}

FIGURES: Mapping[str, Entry] = {
    "parallel-lines": Entry(
        "wgan.figures.parallel_lines:", "TV, KL, JS and EM of two parallel lines (Arjovsky et al., 2017)"
    ),
    "distances": Entry("wgan.figures.distances:", "six distances of two sliding bumps, and their slopes"),
    "vanishing-gradient": Entry(
        "wgan.figures.vanishing_gradient:", "a perfect discriminator saturates, a critic does not"
    ),
    "clip-vs-penalty": Entry(
        "wgan.figures.clip_vs_penalty:", "critics under clipping and gradient penalty (Gulrajani et al.)"
    ),
    "penalty": Entry("wgan.figures.penalty:", "gradient norms between real and generated samples: none, gp, lp"),
    "dirac-gan": Entry(
        "wgan.figures.dirac_gan:", "which methods converge: vector fields and paths (Mescheder et al., 2018)"
    ),
    "lipschitz": Entry("wgan.figures.lipschitz:", "which functions are Lipschitz, with cones and slopes"),
    "mode-collapse": Entry("wgan.figures.mode_collapse:", "three GANs on a ring of eight Gaussians, over time"),
    "generator-loss": Entry(
        "wgan.figures.generator_loss:", "what a better discriminator leaves of the generator's gradient"
    ),
}


def lookup(table: Mapping[str, Entry], name: str, kind: str) -> Any:
    """Load the thing called ``name``.

    Raises:
        UsageError: The name is not in the table; the message lists the known ones and the nearest.
    """
    if name not in table:
        raise UsageError(no_such(kind, name, table))
    return table[name].load()


def no_such(kind: str, name: object, known: Iterable[str]) -> str:
    """The sentence for an unknown name: what it was, the nearest known one, and all of them."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.62)  # at the usual 0.6 'cosine' is like 'none'
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}."
