"""Plain tables: a name, where the thing is, and a line of help. Nothing is imported before it is asked for."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple

from wgan.errors import UsageError


class Entry(NamedTuple):
    """A registered thing: ``"module:attribute"`` (or ``"module"``) and a line of help."""

    target: str
    help: str

    def load(self) -> Any:
        """Import the thing and return it."""
        module, _, attribute = self.target.partition(":")
        loaded = import_module(module)
        return getattr(loaded, attribute) if attribute else loaded


NETWORKS: Mapping[str, Entry] = {
    "mlp": Entry("wgan.networks.mlp", "fully connected layers, for vectors and small images"),
    "dcgan": Entry("wgan.networks.dcgan", "strided convolutions, one a halving (Radford et al., 2015)"),
    "conv": Entry("wgan.networks.conv", "3x3 convolutions with sizes kept even"),
    "resnet": Entry("wgan.networks.resnet", "residual blocks (Gulrajani et al., 2017)"),
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


def lookup(table: Mapping[str, Entry], name: str, kind: str) -> Any:
    """Load the thing called ``name``.

    Raises:
        UsageError: The name is not in the table; the message lists the known ones and the nearest.
    """
    if name not in table:
        raise UsageError(unknown(kind, name, table))
    return table[name].load()


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for an unknown name: what it was, the nearest known one, and all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}."
