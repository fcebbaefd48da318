"""A critic that catches up before a record, and goes back."""

import copy
from inspect import signature

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import picture_trainer, tiny_trainer, vectors
from wgan.config import RunConfig
from wgan.constraints import GradientPenalty, WeightClipping
from wgan.networks import Latent, make_generator
from wgan.objectives import NonSaturating
from wgan.registry import CONSTRAINTS
from wgan.schedule import Decay, Rates
from wgan.seeds import rng
from wgan.trainer import Trainer
from wgan.trainer.catchup import ahead


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
    quiet, watched = (picture_trainer(name, dropout=0.1 * (name != "orthogonal")) for _ in range(2))
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


class Centred(nn.Module):
    """Keeps a mean of what it has seen, as a new tensor each time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.register_buffer("centre", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.centre = 0.9 * self.centre + 0.1 * x.detach().mean(0)
        return self.layer(x - self.centre)


def test_buffers_that_are_set_anew_go_back_too() -> None:
    ends = []
    for tick in (1, 6):
        torch.manual_seed(0)
        networks = make_generator("mlp", (2,), Latent(4), width=8, depth=1), Centred()
        trainer = Trainer(*networks, constraint=WeightClipping(0.1), batch=16, critic_steps=2, critic_lr=0.01)
        list(trainer.fit(vectors(d=2), steps=6, tick=tick))
        ends.append(torch.cat([tensor.flatten() for tensor in trainer.critic.state_dict().values()]))
    assert torch.equal(*ends)


def _tensors(tree: object) -> list[Tensor]:
    if isinstance(tree, dict):
        return [tensor for value in tree.values() for tensor in _tensors(value)]
    return [tree] if isinstance(tree, Tensor) else []


def test_a_record_is_of_the_critic_that_caught_up() -> None:
    ready, slow = (tiny_trainer(constraint=GradientPenalty(), critic_lr=0.01, catch_up=n) for n in (150, 0))
    for trainer in (ready, slow):
        for _ in range(20):
            trainer.advance()  # 60 critic steps
    ready_record, slow_record = ready.record(), slow.record()
    assert (
        ready_record["wasserstein_heldout"] > slow_record["wasserstein_heldout"] + 3 * slow_record["wasserstein_stderr"]
    )
    with slow.caught_up(60):  # as many as it has taken
        again = slow._meter(slow.average.module, slow.critic, slow.step)
    assert again.wasserstein_heldout == ready_record["wasserstein_heldout"]


def test_a_critic_catches_up_with_samples_of_the_average() -> None:
    trainer = tiny_trainer(constraint=WeightClipping(0.1), generator_lr=0.01, catch_up=1)
    seen: list[Tensor] = []
    for _ in range(3):
        trainer.advance()
    due = range(trainer.critic_updates, trainer.critic_updates + 2)
    reals = [trainer.batches[update].double() for update in due]
    latents = [trainer.latent.draw(16, rng(trainer.seed, "critic latent", update)).double() for update in due]
    hook = trainer.critic.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with trainer.caught_up(1):
        hook.remove()
    fakes = [trainer.average.module(z) for z in latents]
    expected = [torch.cat(pair) for pair in zip(reals, fakes, strict=True)]
    assert len(seen) == 2 and all(map(torch.equal, seen, expected))
    assert not torch.allclose(trainer.generator(latents[0]), fakes[0], rtol=1e-3)


def test_the_steps_of_catching_up_become_smaller() -> None:
    weight = nn.Linear(1, 1)
    groups = [{"params": [weight.weight]}, {"params": [weight.bias], "lr": 4.0}]
    optimizer, seen = torch.optim.SGD(groups, lr=0.4), list[list[float]]()
    first = Rates(optimizer)
    first.scale(2)
    with ahead(lambda: seen.append([group["lr"] for group in optimizer.param_groups]), 4, first, weight):
        pass
    assert np.allclose(seen, [[0.4, 4], [0.3, 3], [0.2, 2], [0.1, 1]])
    assert [group["lr"] for group in optimizer.param_groups] == [0.8, 8.0]


def test_a_critic_catches_up_as_fast_when_its_learning_rate_has_decayed() -> None:
    trainer = tiny_trainer(constraint=GradientPenalty(), critic_lr=0.01, catch_up=60, decay=Decay(0, 20))
    for _ in range(20):
        trainer.advance()
    recorded, rate = trainer.record()["wasserstein_heldout"], trainer.critic_optimizer.param_groups[0]["lr"]
    assert rate < 0.001
    trainer.critic_optimizer.param_groups[0]["lr"] = 0.01
    assert trainer.record()["wasserstein_heldout"] == recorded
    trainer.catch_up = 0
    assert trainer.record()["wasserstein_heldout"] < 0.9 * recorded


@pytest.mark.parametrize("half_life", [0, 1000])
def test_a_record_leaves_batch_norm_s_statistics_alone(half_life: int) -> None:
    critic = tiny_trainer().critic.insert(1, nn.BatchNorm1d(16).double())
    generator = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6)).double()
    settings = {"constraint": WeightClipping(0.1), "latent": Latent(3), "batch": 16, "ema_half_life": half_life}
    trainer = Trainer(generator, critic, **settings)
    trainer.attach(vectors())
    for _ in range(3):
        trainer.advance()
    modules = trainer.generator, trainer.critic, trainer.average.module
    before = copy.deepcopy([module.state_dict() for module in modules])
    trainer.record()
    for old, module in zip(before, modules, strict=True):
        assert all(torch.equal(old[key], value) for key, value in module.state_dict().items())


def test_a_trainer_s_own_default_is_that_of_the_configuration() -> None:
    assert signature(Trainer).parameters["catch_up"].default == RunConfig().catch_up


def test_a_fault_inside_leaves_the_critic_where_it_was() -> None:
    trainer = tiny_trainer()
    before = copy.deepcopy(trainer.critic.state_dict())
    with pytest.raises(KeyError), trainer.caught_up(3):
        raise KeyError
    assert all(torch.equal(before[key], value) for key, value in trainer.critic.state_dict().items())
    assert trainer.critic_updates == 0


def test_a_discriminator_does_not_catch_up() -> None:
    trainer = tiny_trainer(objective=NonSaturating(), constraint=WeightClipping(), catch_up=5)
    trainer.advance()
    shown: list[object] = []
    trainer.critic.register_forward_hook(lambda *given: shown.append(given))
    with trainer.caught_up():
        pass
    assert shown == []
