"""Losses against the formulas of the papers, written with the sigmoid."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wgan.errors import UsageError
from wgan.networks import Latent
from wgan.objectives import Wasserstein
from wgan.registry import OBJECTIVES
from wgan.trainer import Trainer

REAL, FAKE = torch.tensor([0.3, -1.2, 2.0]).double(), torch.tensor([0.9, -0.4]).double()


def d(scores: torch.Tensor) -> np.ndarray:
    return 1 / (1 + np.exp(-scores.numpy()))


FORMULAS = {
    "wasserstein": (FAKE.mean() - REAL.mean(), -FAKE.mean()),
    "minimax": (-np.log(d(REAL)).mean() - np.log(1 - d(FAKE)).mean(), np.log(1 - d(FAKE)).mean()),
    "non-saturating": (-np.log(d(REAL)).mean() - np.log(1 - d(FAKE)).mean(), -np.log(d(FAKE)).mean()),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_are_those_of_the_papers(name: str) -> None:
    objective = OBJECTIVES[name].load()()
    critic_loss, generator_loss = FORMULAS[name]
    assert objective.critic_loss(REAL, FAKE).item() == pytest.approx(float(critic_loss))
    assert objective.generator_loss(FAKE).item() == pytest.approx(float(generator_loss))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_critic_is_driven_to_score_real_high_and_fake_low(name: str) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    OBJECTIVES[name].load()().critic_loss(real, fake).backward()
    assert real.grad is not None and (real.grad < 0).all()
    assert fake.grad is not None and (fake.grad > 0).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_generator_is_driven_to_raise_its_scores(name: str) -> None:
    fake = FAKE.clone().requires_grad_()
    OBJECTIVES[name].load()().generator_loss(fake).backward()
    assert fake.grad is not None and (fake.grad < 0).all()


def test_swapping_real_and_fake_flips_the_sign_of_the_wasserstein_loss() -> None:
    objective = OBJECTIVES["wasserstein"].load()()
    assert objective.critic_loss(REAL, FAKE).item() == pytest.approx(-objective.critic_loss(FAKE, REAL).item())


def test_losses_stay_finite_for_a_perfect_discriminator() -> None:
    for name in OBJECTIVES:
        objective = OBJECTIVES[name].load()()
        assert objective.critic_loss(REAL * 0 - 1e4, FAKE * 0 + 1e4).isfinite()
        assert objective.generator_loss(FAKE * 0 - 1e4).isfinite()


@pytest.mark.parametrize(
    ("loss", "given"),
    [
        (lambda fake: -fake.mean().item(), r"-0\.0"),
        (lambda fake: -fake, r"a tensor \(4,\)"),
        (lambda fake: -fake.detach().mean(), r"tensor\(-0\.\)"),
    ],
)
def test_an_objective_whose_loss_cannot_be_minimised_is_refused(loss: Callable[[Tensor], Any], given: str) -> None:
    for name, other in (("generator_loss", "critic_loss"), ("critic_loss", "generator_loss")):
        mine = {name: lambda self, *scores: loss(scores[-1]), other: getattr(Wasserstein, other)}
        objective = type("Mine", (Wasserstein,), mine)()
        with pytest.raises(UsageError, match=rf"^Mine\.{name} gives {given}; give a tensor of one number, computed"):
            Trainer(nn.Linear(2, 6), nn.Linear(6, 1), latent=Latent(2), objective=objective, batch=4)
