"""What a save holds, and what it tells data apart by."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import wgan
from toolbox import blobs, plain, tiny_trainer, vectors
from wgan.errors import WganError
from wgan.loop.restart import fingerprint
from wgan.schedule import Decay
from wgan.trainer.state import load, restore, save, snapshot


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


@pytest.mark.parametrize(("name", "value"), [("batch", 8), ("seed", 99)])
def test_a_save_of_other_draws_is_refused(name: str, value: int) -> None:
    first, other = tiny_trainer(), tiny_trainer(**{name: value})
    with pytest.raises(WganError, match=f"trainer with {name} {getattr(first, name)}, and this one has {value}; make"):
        restore(other, *snapshot(first))


@pytest.mark.parametrize("name", ["generator", "critic"])
def test_a_save_of_other_networks_changes_none_of_those_that_are_there(name: str) -> None:
    first, other = tiny_trainer(), tiny_trainer()
    tensors, counters = snapshot(first)
    saved = {key: value + 1 for key, value in tensors.items()}
    saved[f"{name}.2.bias"] = torch.zeros(7)
    before = {key: value.clone() for key, value in snapshot(other)[0].items()}
    size = len(tensors[f"{name}.2.bias"])
    with pytest.raises(WganError, match=rf"does not fit the {name}: 2\.bias is \({size},\) here and \(7,\) in it"):
        restore(other, saved, counters)
    del saved[f"{name}.2.bias"]
    with pytest.raises(WganError, match="here and missing in it"):
        restore(other, saved, counters)
    assert [key for key, value in snapshot(other)[0].items() if not torch.equal(value, before[key])] == []


class Halving(torch.optim.Optimizer):
    """Counts its steps in a plain number, as hand-written optimizers do, and makes each half as long as the last."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(weights, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                count = self.state[weight].get("count", 0)
                weight -= group["lr"] * 0.5**count * weight.grad
                self.state[weight]["count"] = count + 1


def test_plain_numbers_of_an_optimizer_come_back_as_such(tmp_path: Path) -> None:
    whole, first, second = (tiny_trainer(optimizer=Halving) for _ in range(3))
    whole.advance(), whole.advance(), first.advance()
    save(first, tmp_path / "t.safetensors")
    load(second, tmp_path / "t.safetensors")
    assert {type(state["count"]) for state in second.critic_optimizer.state.values()} == {int}
    second.advance()
    (one, _), (other, _) = snapshot(whole), snapshot(second)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


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


def test_the_data_of_a_save_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """For all at once, of large pictures, do not fit into memory."""
    data, sizes = wgan.open_data(blobs(100)), list[int]()
    kind = type(data.train)
    batch = kind.batch
    monkeypatch.setattr(kind, "batch", lambda samples, index: sizes.append(len(index)) or batch(samples, index))
    fingerprint(data)
    assert data.held_out.size and sizes == [1] * (64 + min(64, data.held_out.size))
