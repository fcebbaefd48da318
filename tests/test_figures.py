"""The papers' figures, by their numbers: closed forms, autograd, SciPy, and what the papers say."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from wgan import figures
from wgan.constraints import R1, Constraint, GradientPenalty, LipschitzPenalty, Unconstrained
from wgan.errors import UsageError
from wgan.figures import (
    clip_vs_penalty,
    critics,
    dirac_gan,
    distances,
    generator_loss,
    lipschitz,
    mode_collapse,
    parallel_lines,
    penalty,
    vanishing_gradient,
)
from wgan.objectives import Minimax, NonSaturating, Objective, Wasserstein
from wgan.registry import FIGURES
from wgan.schedule import Decay

SMALL: Mapping[Any, dict[str, Any]] = {
    vanishing_gradient: {"STEPS": 3, "BATCH": 8},
    penalty: {"STEPS": 3, "BATCH": 8},
    dirac_gan: {"STEPS": 50},
    generator_loss: {"STEPS": 4, "BATCH": 8, "EVERY": 2},
    clip_vs_penalty: {"STEPS": 3, "BATCH": 8, "DEEP_STEPS": 2, "SIDE": 7},
    mode_collapse: {"COLUMNS": (0, 2), "SAMPLES": 20},
}
TRAINED = ("vanishing-gradient", "penalty", "generator-loss", "clip-vs-penalty", "mode-collapse")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains for a few steps only."""
    for module, constants in SMALL.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    monkeypatch.setitem(mode_collapse.COMMON, "decay", Decay(0, 2))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_with_words_on_every_axis(name: str, small: None, tmp_path: Path) -> None:
    drawing = figures.make(name, 0, tmp_path / "new" / "f.png")
    with Image.open(tmp_path / "new" / "f.png") as picture:
        assert min(picture.size) > 500
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20
    summary = drawing.numbers.summary()
    assert summary and all(v == "infinite" or math.isfinite(v) for v in summary.values())
    assert all(key in str(drawing) for key in summary)
    for axes in drawing.figure.axes:
        assert any(other.get_xlabel() for other in axes.get_shared_x_axes().get_siblings(axes))
        row = [other for other in drawing.figure.axes if other.get_position().y0 == axes.get_position().y0]
        assert any(other.get_ylabel() for other in row)


@pytest.mark.parametrize("name", TRAINED)
def test_the_seed_decides_the_numbers(name: str, small: None) -> None:
    module, numbers = FIGURES[name].load(), list[dict[str, Any]]()
    for number, seed in enumerate((1, 1, 2)):
        torch.manual_seed(number)
        state = torch.get_rng_state()
        numbers.append(asdict(module.compute(seed)))
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_equal(numbers[0], numbers[1])
    with pytest.raises(AssertionError):
        np.testing.assert_equal(numbers[0], numbers[2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dirac",), ["dirac", "dirac-gan"]),
        (("lipschitz", -1), ["seed: -1 is too small"]),
        (("lipschitz", 0, "f.pdf"), [".png"]),
    ],
)
def test_mistakes(arguments: tuple[Any, ...], words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        figures.make(*arguments)
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_figure_may_be_saved_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    figures.make("lipschitz", out="~/f.png")
    assert (tmp_path / "f.png").is_file()


def test_parallel_lines_are_what_the_paper_says() -> None:
    numbers = parallel_lines.compute()
    off = numbers.theta != 0
    assert off.sum() == len(off) - 1
    assert numbers.distances["em"] == pytest.approx(np.abs(numbers.theta), abs=1e-12)
    assert numbers.distances["js"] == pytest.approx(math.log(2) * off)
    assert numbers.distances["tv"] == pytest.approx(1.0 * off)
    assert np.isinf(numbers.distances["kl"][off]).all() and numbers.distances["kl"][~off] == 0


def folded(s: Any, deviation: float) -> Any:
    """E|X| of X ~ N(s, deviation^2)."""
    return stats.foldnorm.mean(np.abs(s) / deviation, scale=deviation)


def test_sliding_bumps_have_their_closed_forms() -> None:
    numbers, sigma, width = distances.compute(), distances.SIGMA, distances.BANDWIDTH
    s, apart = numbers.shift, distances.SIGMA * math.sqrt(2)
    kernel = width / math.hypot(width, apart)
    expected = {
        "tv": 2 * stats.norm.cdf(np.abs(s) / (2 * sigma)) - 1,
        "kl": s**2 / (2 * sigma**2),
        "em": np.abs(s),
        "energy": np.sqrt(2 * folded(s, apart) - 2 * folded(0.0, apart)),
        "mmd": 2 * kernel * (1 - np.exp(-(s**2) / (2 * (width**2 + apart**2)))),
    }
    for name, value in expected.items():
        assert numbers.values[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name
    places, bumps = np.arange(-400, 401) / 50, [distances.bump(np.arange(-400, 401) / 50 - shift) for shift in (0, 4)]
    energy = stats.energy_distance(places, places, *bumps)
    assert numbers.values["energy"][s == 4] == pytest.approx(energy, rel=1e-9)
    assert numbers.values["js"].max() == pytest.approx(math.log(2), abs=1e-4)
    inner = slice(1, -1)
    assert numbers.slopes["kl"][inner] == pytest.approx(s[inner] / sigma**2, abs=1e-6)


def descent(objective: Objective, constraint: Constraint, theta: float, psi: float) -> tuple[float, float]:
    """The direction in which our own objective and constraint move the Dirac-GAN, by autograd."""
    critic = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(critic.weight, psi)
    place = torch.tensor([[theta]], dtype=torch.float64, requires_grad=True)
    real, between = torch.zeros(1, 1, dtype=torch.float64), torch.rand(1)
    critic_loss = objective.critic_loss(critic(real).flatten(), critic(place).flatten())
    critic_loss = critic_loss + constraint.weight * constraint.penalty(critic, real, place, between)
    (of_psi,) = torch.autograd.grad(critic_loss, critic.weight)
    (of_theta,) = torch.autograd.grad(objective.generator_loss(critic(place).flatten()), place)
    return -float(of_theta), -float(of_psi)


@pytest.mark.parametrize(
    ("name", "objective", "constraint"),
    [
        ("wgan", Wasserstein(), Unconstrained()),
        ("gp", Wasserstein(), GradientPenalty(dirac_gan.PENALTY)),
        ("lp", Wasserstein(), LipschitzPenalty(dirac_gan.PENALTY)),
        ("wgan_r1", Wasserstein(), R1(dirac_gan.GAMMA)),
        ("ns", NonSaturating(), Unconstrained()),
        ("ns_r1", NonSaturating(), R1(dirac_gan.GAMMA)),
    ],
)
def test_dirac_fields_are_the_gradients_of_our_losses(name: str, objective: Objective, constraint: Constraint) -> None:
    for theta, psi in ((1.0, 0.5), (-0.3, 1.7), (0.8, -1.2), (-2.0, -0.1)):
        expected = descent(objective, constraint, theta, psi)
        assert dirac_gan.METHODS[name][1](np.array(theta), np.array(psi)) == pytest.approx(expected, abs=1e-5)


def test_dirac_field_of_instance_noise_is_the_mean_gradient() -> None:
    theta, psi = 0.7, -0.9
    noise = np.random.default_rng(0).normal(0, dirac_gan.NOISE, 10**6)
    fake = theta + noise
    of_psi = noise / (1 + np.exp(psi * noise)) - fake / (1 + np.exp(-psi * fake))
    of_theta = psi / (1 + np.exp(psi * fake))
    expected = (of_theta.mean(), of_psi.mean())
    assert dirac_gan.instance_noise(np.array(theta), np.array(psi)) == pytest.approx(expected, abs=5e-3)


def test_dirac_paths_end_where_the_theorems_say() -> None:
    numbers = dirac_gan.compute()
    stray = numbers.summary()
    assert all(stray[name] < 1e-6 for name in ("wgan_r1", "ns_r1", "ns_noise"))
    assert all(stray[name] > 0.25 for name in ("wgan", "clip", "gp", "lp", "ns"))
    assert np.hypot(*numbers.paths["wgan"].T) == pytest.approx(1, abs=0.03)
    clipped = numbers.paths["clip"][-dirac_gan.STEPS // 2 :]
    assert np.abs(clipped[:, 1]).max() <= dirac_gan.BOUND
    assert np.hypot(*clipped.T) == pytest.approx(dirac_gan.BOUND, abs=0.03)
    # R1 makes a damped oscillator of it: theta'' = -theta - gamma theta'
    time = dirac_gan.STEP * np.arange(dirac_gan.STEPS + 1)
    omega = math.sqrt(1 - dirac_gan.GAMMA**2 / 4)
    wave = np.cos(omega * time) + dirac_gan.GAMMA / (2 * omega) * np.sin(omega * time)
    assert numbers.paths["wgan_r1"][:, 0] == pytest.approx(np.exp(-dirac_gan.GAMMA * time / 2) * wave, abs=0.03)


def test_slopes_tell_lipschitz_functions_from_others() -> None:
    numbers = lipschitz.compute()
    for name, slope in {"sin": np.cos, "square": lambda x: 2 * x, "log": lambda x: 1 / x}.items():
        inner = numbers.x[name] > 0.1 if name == "log" else slice(1, -1)
        assert numbers.slope[name][inner] == pytest.approx(slope(numbers.x[name])[inner], rel=1e-2, abs=1e-2)
    for name in ("sin", "abs"):
        assert numbers.narrow[name] == pytest.approx(1, abs=1e-6) and numbers.wide[name] == pytest.approx(1, abs=1e-6)
    for name, widest in {"square": 16, "log": 1000}.items():
        assert numbers.wide[name] > 1.9 * numbers.narrow[name]
        assert numbers.wide[name] == pytest.approx(widest, rel=0.05)


def test_a_critic_reaches_what_the_penalty_allows_and_a_discriminator_vanishes() -> None:
    numbers = vanishing_gradient.compute()
    p, q = (
        stats.norm(mean, vanishing_gradient.SIGMA).pdf(numbers.x)
        for mean in (vanishing_gradient.REAL, vanishing_gradient.FAKE)
    )
    assert numbers.discriminator == pytest.approx(p / (p + q), rel=1e-9)
    middle = (numbers.x > -1) & (numbers.x < 1.5)
    expected = np.abs(np.gradient(np.log(q[middle] / (p + q)[middle]), numbers.x[middle]))
    assert numbers.minimax[middle][1:-1] == pytest.approx(expected[1:-1], rel=0.02)
    summary = numbers.summary()
    # max over n of n W1 - weight (n - 1)^2 is at n = 1 + W1 / (2 weight)
    slope = 1 + summary["w1"] / (2 * vanishing_gradient.WEIGHT)
    assert summary["estimate"] == pytest.approx(summary["w1"] * slope, rel=0.03)
    assert 0.85 < summary["critic_slope_least"] <= summary["critic_slope_most"] < 1.15
    assert summary["minimax_gradient"] < 1e-8


def linear(weights: list[float]) -> nn.Module:
    critic = nn.Sequential(nn.Linear(len(weights), 1, bias=False), nn.Flatten(0))
    critic[0].weight.data = torch.tensor([weights])
    return critic


def test_sample_gradients_of_a_linear_critic() -> None:
    fake = torch.tensor([[1.0, 2.0], [-3.0, 0.5]])
    scores = fake.double() @ torch.tensor([0.6, -0.8]).double()  # the weights' norm is 1
    expected: dict[Objective, Tensor] = {
        Minimax(): torch.sigmoid(scores),
        NonSaturating(): torch.sigmoid(-scores),
        Wasserstein(): torch.ones(2).double(),
    }
    for objective, norm in expected.items():
        found = generator_loss.sample_gradient(linear([0.6, -0.8]), objective, fake)
        assert found == pytest.approx(float(norm.mean()), rel=1e-6)


def test_the_gradient_after_the_last_layer_is_the_heads_weight() -> None:
    critic = critics.perceptron(2, 0, depth=4)
    gradients = clip_vs_penalty.layer_gradients(critic, torch.randn(8, 2), torch.randn(8, 2))
    assert len(gradients) == 4
    assert gradients[-1] == pytest.approx(float(critic.head.weight.detach().norm()), rel=1e-5)


def test_covered_modes_are_counted() -> None:
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    samples = np.concatenate([np.zeros((50, 2)), np.ones((46, 2)), np.repeat(centres[1:2], 4, axis=0)])
    assert mode_collapse.covers(samples, centres).tolist() == [True, False, False, False]
    more = np.concatenate([samples[:93], np.repeat(centres[1:2], 7, axis=0)])
    assert mode_collapse.covers(more, centres).tolist() == [True, True, False, False]
    assert mode_collapse.nearby(np.array([[0.15, 0.0], [0.17, 0.0]]), centres)[:, 0].tolist() == [True, False]
