"""The first number that is not finite is named."""

import math

import pytest
import torch

from toolbox import tiny_trainer
from wgan.constraints import GradientPenalty
from wgan.trainer.ledger import DivergedError


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_quantity_that_is_not_finite_is_named_with_its_step(bad: float) -> None:
    trainer = tiny_trainer()
    for _ in range(3):
        trainer.advance()
    trainer.check()
    with torch.no_grad():
        trainer.critic[0].weight[0, 0] = bad
    trainer.advance()
    trainer.advance()
    with pytest.raises(DivergedError, match="critic_loss became NaN or infinite at generator step 4"):
        trainer.record()


def test_the_penalty_is_named_if_it_was_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = tiny_trainer(critic_steps=3)
    penalties = iter([1.0, math.nan, 1.0])
    monkeypatch.setattr(GradientPenalty, "penalty", lambda self, critic, *_: critic[0].weight.sum() * next(penalties))
    trainer.advance()
    with pytest.raises(DivergedError, match="penalty became NaN or infinite at generator step 1"):
        trainer.check()


def test_a_measurement_that_is_not_finite_is_named() -> None:
    trainer = tiny_trainer()
    trainer.advance()
    with torch.no_grad():
        trainer.critic[2].weight.fill_(1e308)
    with pytest.raises(DivergedError, match="became NaN or infinite"):
        trainer.record()


def test_a_weight_that_is_not_finite_is_named() -> None:
    trainer = tiny_trainer()
    with torch.no_grad():
        trainer.generator[2].bias[0] = math.nan
    with pytest.raises(DivergedError, match=r"the generator's weight 2\.bias"):
        trainer.check()
