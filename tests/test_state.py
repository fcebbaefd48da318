"""What a save holds, and what it tells data apart by."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import wgan
from toolbox import blobs, picture_trainer, plain, tiny_trainer, vectors
from wgan.constraints import GradientPenalty, WeightClipping
from wgan.errors import WganError
from wgan.loop.resuming import fingerprint
from wgan.networks import Latent
from wgan.objectives import Minimax
from wgan.optimizers import Adam, eager
from wgan.schedule import Decay
from wgan.trainer import Trainer
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


def test_all_counters_come_back() -> None:
    first, other = tiny_trainer(critic_steps=3), tiny_trainer(critic_steps=3)
    first.advance(), first.advance()
    restore(other, *snapshot(first))
    assert (other.step, other.critic_updates) == (2, first.critic_updates)
    assert first.critic_updates != 2 and other.last_record == first.last_record
    assert other.ledger.means() == first.ledger.means()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("batch", 8, "batch 16, and this one has 8"),
        ("seed", 99, "seed 5, and this one has 99"),
        (
            "latent",
            Latent(3, "unit"),
            "latent Latent(size=3, kind='normal'), and this one has Latent(size=3, kind='unit')",
        ),
        ("objective", Minimax(), "objective Wasserstein, and this one has Minimax"),
        ("constraint", WeightClipping(), "constraint GradientPenalty(10), and this one has WeightClipping(0.01)"),
        ("constraint", GradientPenalty(every=4), "GradientPenalty(10), and this one has GradientPenalty(10, every=4)"),
        ("instance_noise", 0.1, "instance_noise 0.0, and this one has 0.1"),
        ("critic_steps", 5, "critic_steps 3, and this one has 5"),
        ("warmup", (25, 100), "warmup None, and this one has [25, 100]"),
        ("reuse", True, "reuse False, and this one has True"),
        ("ema_half_life", 0, "ema_half_life 10000.0, and this one has 0.0"),
        ("generator_lr", 1e-2, "generator_lr 0.0001, and this one has 0.01"),
        ("critic_lr", 1e-2, "critic_lr 0.0001, and this one has 0.01"),
        ("decay", Decay(0, 100), "decay None, and this one has [0, 100]"),
    ],
)
def test_a_save_of_another_setting_is_refused(name: str, value: object, told: str, tmp_path: Path) -> None:
    first, other = tiny_trainer(), tiny_trainer(**{name: value})
    for _ in range(2):
        first.advance()
    save(first, tmp_path / "t.safetensors")
    before = {key: tensor.clone() for key, tensor in snapshot(other)[0].items()}
    with pytest.raises(WganError, match=f"the save is of a trainer with .*{re.escape(told)}; make it alike"):
        load(other, tmp_path / "t.safetensors")
    assert [key for key, tensor in snapshot(other)[0].items() if not torch.equal(tensor, before[key])] == []
    again = tiny_trainer(**{name: value})
    save(other, tmp_path / "t.safetensors")
    load(again, tmp_path / "t.safetensors")


def test_a_save_of_mirrored_pictures_is_refused_by_a_trainer_that_does_not_mirror() -> None:
    with pytest.raises(WganError, match="flip True, and this one has False; make it alike"):
        restore(picture_trainer(), *snapshot(picture_trainer(flip=True)))


def test_a_save_of_a_decay_is_refused_by_a_trainer_without_one() -> None:
    with pytest.raises(WganError, match=r"decay \[0, 9\], and this one has None; make it alike"):
        restore(tiny_trainer(), *snapshot(tiny_trainer(decay=Decay(0, 9))))


def test_what_an_older_save_does_not_know_is_no_difference() -> None:
    first, other = tiny_trainer(), tiny_trainer()
    tensors, counters = snapshot(first)
    del counters["constraint"], counters["reuse"], counters["critic_lr"]
    restore(other, tensors, counters)


def test_the_rate_of_every_group_is_compared() -> None:
    def made(second: float) -> Trainer:
        def groups(weights: Any, lr: float) -> torch.optim.Optimizer:
            first, *others = weights
            return eager(torch.optim.Adam)([{"params": [first], "lr": second}, {"params": others}], lr)

        return tiny_trainer(optimizer=groups)

    restore(made(1e-3), *snapshot(made(1e-3)))
    with pytest.raises(WganError, match=r"generator_lr \[0\.002, 0\.0001\], and this one has \[0\.001, 0\.0001\]"):
        restore(made(1e-3), *snapshot(made(2e-3)))


def test_a_warm_up_that_is_off_is_the_same_as_any_other() -> None:
    restore(tiny_trainer(warmup=(0, 50)), *snapshot(tiny_trainer(warmup=(0, 100))))


def test_extra_critic_steps_and_the_precision_may_be_others() -> None:
    first, other = tiny_trainer(), tiny_trainer(catch_up=3, precision=torch.bfloat16)
    first.advance()
    restore(other, *snapshot(first))
    assert (other.step, other.catch_up) == (1, 3)


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
    """Keeps what it counts as hand-written optimizers do, in plain numbers, and makes each step shorter by that.

    Of each weight 0.1, 0.1 + 0.1, ..., which float32 does not hold; of each group how far it has gone, and no limit.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(weights, {"lr": lr, "gone": 0.0, "limit": float("inf")})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                count = self.state[weight].get("count", 0.0)
                weight -= group["lr"] * 0.5 ** min(count + group["gone"], group["limit"]) * weight.grad
                self.state[weight] |= {"count": count + 0.1, "none": None}
            group["gone"] += 1 / 3


def test_what_an_optimizer_keeps_for_weights_and_groups_comes_back_exactly(tmp_path: Path) -> None:
    whole, first, second = (tiny_trainer(optimizer=Halving) for _ in range(3))
    for trainer in (whole, first):
        trainer.advance(), trainer.advance()
    save(first, tmp_path / "t.safetensors")
    load(second, tmp_path / "t.safetensors")
    kept = [optimizer.state_dict() for optimizer in (first.critic_optimizer, second.critic_optimizer)]
    assert kept[0] == kept[1]
    assert kept[1]["state"][0]["count"] == 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1  # two generator steps, three each
    whole.advance(), second.advance()
    (one, _), (other, _) = snapshot(whole), snapshot(second)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_rate_that_is_a_tensor_comes_back_as_one(tmp_path: Path) -> None:
    first, second = (
        tiny_trainer(optimizer=lambda weights, rate: torch.optim.SGD(weights, torch.tensor(rate), momentum=0.5))
        for _ in range(2)
    )
    first.advance()
    first.critic_optimizer.param_groups[0]["lr"] /= 3
    save(first, tmp_path / "t.safetensors")
    load(second, tmp_path / "t.safetensors")
    rate, saved = (trainer.critic_optimizer.param_groups[0]["lr"] for trainer in (second, first))
    assert isinstance(rate, torch.Tensor) and torch.equal(rate, saved)


def test_what_no_file_holds_is_named(tmp_path: Path) -> None:
    trainer = tiny_trainer(optimizer=Halving)
    trainer.critic_optimizer.param_groups[0]["tags"] = {"a"}
    with pytest.raises(
        WganError, match=r"optimizer Halving keeps \{'a'\} \(group\.0\.tags\), which cannot be saved; let"
    ):
        save(trainer, tmp_path / "t.safetensors")


def test_a_save_of_an_optimizer_with_other_groups_changes_nothing() -> None:
    def in_two(weights: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        first, *others = weights
        return Adam()([{"params": [first]}, {"params": others}], rate)  # type: ignore[list-item]

    first, other = tiny_trainer(), tiny_trainer(optimizer=in_two)
    first.advance()
    before = {key: value.clone() for key, value in snapshot(other)[0].items()}
    words = r"Adam with 1 group \(of 4 weights\), and this trainer's has 2 groups \(of 1, 3 weights\); make it alike"
    with pytest.raises(WganError, match=words):
        restore(other, *snapshot(first))
    assert [key for key, value in snapshot(other)[0].items() if not torch.equal(value, before[key])] == []


def test_numbers_of_numpy_are_saved_as_python_s(tmp_path: Path) -> None:
    rates = {"critic_lr": np.float32(0.001), "generator_lr": np.float32(0.001)}
    trainer = tiny_trainer(seed=np.int64(3), decay=Decay(np.int64(0), np.int64(9)), **rates)  # type: ignore[arg-type]
    trainer.advance()
    save(trainer, tmp_path / "t.safetensors")
    other = tiny_trainer(seed=3, decay=Decay(0, 9), **rates)
    load(other, tmp_path / "t.safetensors")
    assert (other.seed, other.decay) == (3, Decay(0, 9))


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
