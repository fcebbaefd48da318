"""A critic that catches up before a record, and goes back."""

import copy
from inspect import signature

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import picture_trainer, tiny_trainer, vectors
from wgan.catchup import small_steps
from wgan.config import RunConfig
from wgan.constraints import GradientPenalty, WeightClipping
from wgan.networks import Latent
from wgan.registry import CONSTRAINTS
from wgan.trainer import Trainer


def test_the_gap_is_that_of_the_critic_before_it_catches_up() -> None:
    trainer = tiny_trainer(catch_up=5)
    for _ in range(3):
        trainer.advance()
    expected = trainer._meter.gap(trainer.critic)
    record = trainer.record()
    assert {name: record[name] for name in expected} == expected
    assert record["gap"] != pytest.approx(record["wasserstein"] - record["wasserstein_heldout"], rel=1e-3)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_critic_that_caught_up_goes_back_exactly_to_where_it_was(name: str) -> None:
    quiet, watched = (picture_trainer(name, dropout=0.0 if name == "orthogonal" else 0.1) for _ in range(2))
    for trainer in (quiet, watched):
        trainer.advance()
    before = copy.deepcopy(watched.critic.state_dict())
    with watched.caught_up(5):
        assert any(
            not torch.equal(old, new)
            for old, new in zip(before.values(), watched.critic.state_dict().values(), strict=True)
        )
    for trainer in (quiet, watched):
        trainer.advance()
        trainer.advance()
    for part in ("generator", "critic", "critic_optimizer"):
        one, other = (_tensors(getattr(trainer, part).state_dict()) for trainer in (quiet, watched))
        assert len(one) == len(other) and all(map(torch.equal, one, other))
    assert quiet.ledger.means() == watched.ledger.means() and quiet.images == watched.images


def _tensors(tree: object) -> list[Tensor]:
    if isinstance(tree, dict):
        return [tensor for value in tree.values() for tensor in _tensors(value)]
    return [tree] if isinstance(tree, Tensor) else []


def test_a_record_is_of_the_critic_that_caught_up() -> None:
    ready, slow = (tiny_trainer(constraint=GradientPenalty(), critic_lr=0.01, catch_up=n) for n in (600, 0))
    for trainer in (ready, slow):
        for _ in range(20):
            trainer.advance()  # 60 critic steps
    ready_record, slow_record = ready.record(), slow.record()
    assert (
        ready_record["wasserstein_heldout"] > slow_record["wasserstein_heldout"] + 3 * slow_record["wasserstein_stderr"]
    )
    with slow.caught_up(240):  # quarters of as many batches as it was shown
        again = slow._meter(slow.generator, slow.critic, slow.step)
    assert again.wasserstein_heldout == ready_record["wasserstein_heldout"]


def test_a_critic_catches_up_on_quarters_of_batches() -> None:
    trainer, seen = tiny_trainer(constraint=WeightClipping(0.1)), list[Tensor]()
    trainer.advance()
    batch = trainer.batches[trainer.critic_updates].double()
    hook = trainer.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].chunk(2)[0]))
    with trainer.caught_up(4):
        hook.remove()
    assert len(seen) == 4
    assert all(torch.equal(real, batch[part::4]) for part, real in enumerate(seen))


def test_a_critic_that_mixes_its_batch_catches_up_on_whole_ones() -> None:
    trainer, sizes = tiny_trainer(constraint=WeightClipping(0.1)), list[int]()
    trainer.critic.insert(1, nn.BatchNorm1d(16).double())
    mixing = Trainer(trainer.generator, trainer.critic, constraint=WeightClipping(0.1), latent=Latent(3), batch=16)
    mixing.attach(vectors())
    hook = mixing.critic.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    with mixing.caught_up(7):
        hook.remove()
    assert sizes == [16] * 4  # real and generated ones apart, of 7 quarters: two batches


@pytest.mark.parametrize(
    ("batch", "sizes"), [(16, [4, 4, 4, 4, 4]), (10, [3, 3, 2, 2, 3]), (3, [1, 1, 1, 1]), (1, [1, 1])]
)
def test_batches_are_cut_as_far_as_they_can_be(batch: int, sizes: list[int]) -> None:
    made = iter(range(100))
    small = list(small_steps(lambda: (torch.arange(batch) + batch * next(made), torch.zeros(batch)), 5, batch))
    assert [len(real) for _, (real, _) in small] == sizes == [len(fake) for _, (_, fake) in small]
    shares = [share for share, _ in small]
    assert shares == pytest.approx(np.linspace(1, 0, len(sizes) + 1)[:-1])
    shown = torch.cat([real for _, (real, _) in small]).tolist()
    whole = [row for row in shown if row < batch * (len(sizes) // min(4, batch))]
    assert sorted(whole) == list(range(len(whole))) and len(set(shown)) == len(shown)


def test_a_trainer_s_own_default_is_that_of_the_configuration() -> None:
    assert signature(Trainer).parameters["catch_up"].default == RunConfig().catch_up


def test_a_fault_inside_leaves_the_critic_where_it_was() -> None:
    trainer = tiny_trainer()
    before = copy.deepcopy(trainer.critic.state_dict())
    with pytest.raises(KeyError), trainer.caught_up(3):
        raise KeyError
    assert all(torch.equal(before[key], value) for key, value in trainer.critic.state_dict().items())
    assert trainer.critic_updates == 0
