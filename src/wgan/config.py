"""What a run is made of, as frozen dataclasses of names and numbers.

Each class is a section of ``config.toml``; the docstring under a field is its help text. Field names are unique across
sections (those of the two networks carry their section's name in front), so every field is one flag of the command
line and one keyword of :func:`wgan.train`: ``generator.width`` is ``--generator-width`` and ``generator_width=``.
"""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["crop", "pad", "stretch"]
Norm = Literal["none", "batch", "instance", "layer"]
Activation = Literal["relu", "leaky_relu", "silu"]
Init = Literal["default", "normal"]
LatentKind = Literal["normal", "uniform", "unit"]


@dataclass(frozen=True)
class DataConfig:
    """What the samples are and how pictures are brought to one shape."""

    data: str = "digits"
    """A name (see `wgan data --list`), a folder or .zip of pictures, or a .npy/.npz file."""
    size: tuple[int, int] | None = None
    """Height and width of the pictures, as 64 or 48x64; by default what most have, or 64 if that is above 128."""
    channels: Literal[1, 3, 4] | None = None
    """1 grey, 3 colour, 4 colour with transparency; by default 1 or 3, as the source has."""
    fit: Fit = "crop"
    """To reach the size: crop (cover it and cut the rest), pad (shrink to fit, black or clear border), stretch."""
    flip: bool = False
    """Mirror each training picture left to right with probability 1/2, anew in each batch."""
    value_range: tuple[float, float] | None = None
    """Darkest and brightest value of pictures of floats or 16 bits, as --value-range=0,1; by default inferred."""
    held_out: float = 0.1
    """Share (below 1) or number of samples never trained on; mnist, fashion-mnist and cifar10 have their own."""
    data_dir: str | None = None
    """Where the files of named data sets are looked for first."""
    follow_links: bool = False
    """Also read pictures outside the folder that links in it point to."""
    download: bool = False
    """Download a named data set that is not on this machine."""


@dataclass(frozen=True)
class NetworkConfig:
    """A network; what is left out is the family's own choice."""

    family: str = "auto"
    """mlp, dcgan, conv or resnet; auto is dcgan for pictures and mlp for vectors."""
    width: int | None = None
    """Channels of the largest hidden maps, doubling with each halving of these (mlp: of the narrowest layer)."""
    depth: int | None = None
    """How many times the picture is halved (mlp: how many hidden layers)."""
    widths: tuple[int, ...] | None = None
    """All widths, in the order of the layers, instead of width and depth."""
    norm: Norm | None = None
    """Normalisation: batch, instance, layer or none."""
    affine: bool | None = None
    """Whether norm layers have gains and biases of their own."""
    activation: Activation | None = None
    """relu, leaky_relu (slope 0.2) or silu."""
    kernel: int | None = None
    """Side of the strided convolutions' kernels (dcgan)."""
    stem: bool | None = None
    """conv only: begin with a linear layer (generator) or a stride-1 convolution (critic); off: strided layers only."""
    init: Init | None = None
    """First weights: PyTorch's own, or normal with standard deviation 0.02 (DCGAN)."""


@dataclass(frozen=True)
class GeneratorConfig(NetworkConfig):
    """The generator; what is left out is the family's own choice."""

    refine: bool | None = None
    """dcgan only: end with a 3x3 convolution at full size; off: with the last transposed one, which is cheaper."""
    modulate: bool | None = None
    """dcgan only: compute the gains of norms from the noise, for more variety; off: they are the same for all."""


@dataclass(frozen=True)
class CriticConfig(NetworkConfig):
    """The critic; what is left out is the family's own choice."""

    dropout: float | None = None
    """Share of activations dropped after each hidden layer of the critic."""


@dataclass(frozen=True)
class LatentConfig:
    """The noise that the generator maps to data."""

    latent: int = 128
    """How many numbers the noise has."""
    latent_kind: LatentKind = "normal"
    """Their distribution: normal N(0, 1), uniform U(-1, 1) or unit U(0, 1)."""


@dataclass(frozen=True)
class LossConfig:
    """What the networks minimise."""

    objective: str = "wasserstein"
    """wasserstein, minimax or non-saturating."""
    constraint: str = "gp"
    """What keeps the critic Lipschitz: clip, gp, lp (one-sided gp), r1, r2, spectral, orthogonal, none, or as r1+r2."""
    weight: tuple[float, ...] | None = None
    """Its weight, by default 10 (clip: the bound, 0.01; spectral, orthogonal: 1), one for all or one for each part."""
    every: tuple[int, ...] = (1,)
    """Add the penalty at every k-th critic step only, k times as strong; one for all or one for each part."""
    instance_noise: float = 0.0
    """Standard deviation of Gaussian noise added to all that the critic sees in training; measurements are without."""


@dataclass(frozen=True)
class OptimizerConfig:
    """How the weights move."""

    optimizer: Literal["adam", "rmsprop"] = "adam"
    """adam or rmsprop, for both networks."""
    critic_lr: float = 1e-4
    """The critic's learning rate."""
    generator_lr: float = 1e-4
    """The generator's learning rate."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's beta1,beta2, such as 0,0.9."""
    decay: Literal["none", "linear"] = "none"
    """linear: learning rates fall to 0 over the budget, which must then be steps, kimg or epochs."""
    critic_steps: int = 5
    """Critic steps (n_critic in the papers), each on fresh batches, before a generator step."""
    warmup_steps: int = 0
    """Take --warmup-critic-steps before each of the first --warmup-steps generator steps, and before every 500th."""
    warmup_critic_steps: int = 100
    """Critic steps during warm-up, which is not one of learning rates (Arjovsky et al., 2017: 100 for the first 25)."""
    reuse: bool = False
    """Reuse the critic's last fakes for the generator's step: faster, but the critic has just been trained on them."""
    ema_half_life: float = 10_000
    """Half-life, in pictures shown to the critic, of the average of the generator's weights; 0 for none."""


@dataclass(frozen=True)
class RunConfig:
    """How long, how often, on what."""

    steps: int | None = None
    """Stop after this many generator steps in total; with several budgets, the first one reached ends training."""
    kimg: float | None = None
    """Stop after the critic has seen this many thousand real pictures in total."""
    epochs: float | None = None
    """Stop after this many passes over the training data in total (of endless toys, a pass is 65,536 samples)."""
    time: str | None = None
    """Stop after this much training time in total: 90s, 10m, 1h30m or 1d; the last record and pictures come on top."""
    batch: int = 64
    """Samples in a batch, of all processes together."""
    seed: int = 0
    """The seed of every random choice."""
    log_every: str = "50"
    """Record every so many generator steps or epochs (500, 1epoch), and at steps 1, 4, 16, ... before that."""
    catch_up: int = 20
    """Extra critic steps against the averaged generator before each record, then undone; more find larger estimates."""
    sample_every: str = "500"
    """Draw samples every so many generator steps or epochs (500, 1epoch), and at steps 1, 4, 16, ... before that."""
    save_every: str = "60s"
    """Save every so often: a time (60s, 5m), generator steps (500) or epochs (1epoch)."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic inside the networks; auto is bf16 for pictures where the CPU or GPU has it. Last layers stay fp32."""
    threads: int | None = None
    """CPU threads of each process; by default its share of the cores (OMP_NUM_THREADS for a lone process)."""
    processes: int = 1
    """Training processes on this machine, one for each GPU; under torchrun, its own number is used."""
    tensorboard: bool = False
    """Write TensorBoard files beside metrics.jsonl (needs pip install tensorboard)."""


@dataclass(frozen=True)
class Config:
    """The whole configuration of a run: what ``config.toml`` holds."""

    data: DataConfig = DataConfig()
    generator: GeneratorConfig = GeneratorConfig()
    critic: CriticConfig = CriticConfig()
    latent: LatentConfig = LatentConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    run: RunConfig = RunConfig()
