"""Losses against the formulas of the papers, written with the sigmoid."""

import numpy as np
import pytest
import torch

from wgan.registry import OBJECTIVES

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
