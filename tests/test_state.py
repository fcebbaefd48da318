"""What a save holds, and what it tells data apart by."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import wgan
from toolbox import plain, tiny_trainer, vectors
from wgan.loop.restart import fingerprint
from wgan.schedule import Decay
from wgan.trainer.state import restore, snapshot


def test_a_save_is_not_changed_by_what_goes_on_from_it() -> None:
    first = tiny_trainer()
    first.advance()
    tensors, counters = snapshot(first)
    saved = {name: value.clone() for name, value in tensors.items()}
    before = {name: value.clone() for name, value in saved.items()}
    other = tiny_trainer()
    restore(other, saved, counters)
    other.advance()
    assert [name for name in saved if not torch.equal(saved[name], before[name])] == []


def test_all_counters_come_back_and_a_decay_that_there_was_not_goes() -> None:
    first, other = tiny_trainer(critic_steps=3), tiny_trainer(critic_steps=3)
    first.advance(), first.advance()
    first.decay, other.decay = None, Decay(0, 9)
    restore(other, *snapshot(first))
    assert (other.step, other.critic_updates, other.decay) == (2, first.critic_updates, None)
    assert first.critic_updates != 2 and other.mark == first.mark
    assert other.ledger.means() == first.ledger.means()


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_data_are_told_apart_by_the_first_samples_and_the_sizes_of_both_parts(part: str) -> None:
    x = vectors(100)
    data = replace(wgan.open_data(x), train=plain(x[:70]), held_out=plain(x[70:]))
    known = fingerprint(data)
    assert (known["train"], known["held_out"]) == (70, 30)
    changed = np.array(x[:70] if part == "train" else x[70:])
    changed[0] += 1
    assert fingerprint(replace(data, **{part: plain(changed)}))["content"] != known["content"]
    assert fingerprint(replace(data, content="other"))["all"] == "other"
