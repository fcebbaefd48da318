"""Means of losses that are counted when somebody asks."""

import math

import pytest
import torch

from wgan.trainer.ledger import DivergedError, Ledger

NAMES = ("critic_loss", "penalty")


def values(n: int) -> list[float]:
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tolist()


def test_many_values_have_their_mean_however_often_it_is_asked_for() -> None:
    asked, quiet = Ledger(NAMES), Ledger(NAMES)
    drawn = values(3000)
    for step, value in enumerate(drawn):
        for ledger in (asked, quiet):
            ledger.add("penalty", torch.tensor(value, dtype=torch.float64), step)
        if step % 700 == 0:
            asked.means()
            state = asked.state()
            asked = Ledger(NAMES)
            asked.load(state)
    assert asked.means() == quiet.means()
    assert quiet.means()["critic_loss"] is None
    assert quiet.means()["penalty"] == pytest.approx(math.fsum(drawn) / 3000, rel=1e-12)
    quiet.reset()
    assert quiet.means() == dict.fromkeys(NAMES)


def test_the_first_bad_value_is_told_after_many() -> None:
    ledger = Ledger(NAMES)
    for step in range(3000):
        ledger.add("penalty", torch.tensor(math.inf if step > 1600 else 0.0), step)
        ledger.add("critic_loss", torch.tensor(math.nan if step >= 1500 else 0.0), step)
    ledger.reset()
    with pytest.raises(DivergedError, match="critic_loss became NaN or infinite at generator step 1500"):
        ledger.check()


def test_a_value_that_changes_later_counts_as_it_was() -> None:
    ledger, value = Ledger(NAMES), torch.ones(())
    ledger.add("penalty", value, 1)
    value.fill_(5)
    assert ledger.means()["penalty"] == 1


def test_a_resumed_ledger_forgets_what_was_waiting_and_bad() -> None:
    ledger = Ledger(("a",))
    state = ledger.state()
    ledger.add("a", torch.tensor(math.nan), 1)
    ledger.load(state)
    ledger.check()
    assert ledger.means() == {"a": None}
    ledger.add("a", torch.tensor(math.nan), 1)
    ledger.means()
    ledger.load(state)
    ledger.check()


def test_what_waits_at_a_reset_is_not_counted_afterwards() -> None:
    ledger = Ledger(("a",))
    ledger.add("a", torch.tensor(7.0), 1)
    ledger.reset()
    ledger.add("a", torch.tensor(1.0), 2)
    assert ledger.means() == {"a": 1.0}
