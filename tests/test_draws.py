"""What is drawn is another one in each step and under each seed, and nothing of the caller's is used up."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import picture_trainer, plain, tiny_trainer, vectors
from wgan.config import DataConfig
from wgan.constraints import Constraint, Sum, WeightClipping
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.data.samples import Pictures
from wgan.measure.sides import Arrays, Samplers
from wgan.networks import Latent
from wgan.seeds import rng
from wgan.trainer import Trainer


def shown_to(module: nn.Module) -> list[Tensor]:
    seen: list[Tensor] = []
    module.register_forward_hook(lambda m, args, out: seen.append(args[0].detach().clone()))
    return seen


def test_generator_noise_is_new_in_each_step() -> None:
    trainer = tiny_trainer(instance_noise=0.5, critic_steps=1, batch=500, constraint=WeightClipping())
    made: list[Tensor] = []
    trainer.generator.register_forward_hook(lambda m, args, out: made.append(out.detach().clone()))
    shown = shown_to(trainer.critic)
    trainer.advance(), trainer.advance()
    one, two = ((shown[k] - made[k]).flatten().numpy() for k in (1, 3))
    assert one.std() == pytest.approx(0.5, rel=0.05) and abs(np.corrcoef(one, two)[0, 1]) < 0.1


class Where(Constraint):
    label = "where"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        self.seen.append(epsilon)
        return real.new_zeros(()).requires_grad_()


def test_parts_of_a_sum_look_at_points_of_their_own() -> None:
    one, two = Where(), Where()
    trainer = tiny_trainer(constraint=Sum(one, two))
    trainer.critic_step(), trainer.critic_step()
    assert len({tuple(at.tolist()) for at in one.seen + two.seen}) == 4


def test_dropout_is_another_one_in_each_step() -> None:
    torch.manual_seed(0)
    dropout = nn.Dropout(0.5)
    masks: list[Tensor] = []
    dropout.register_forward_hook(lambda m, args, out: masks.append(nn.functional.dropout(torch.ones(100))))
    trainer = Trainer(
        nn.Linear(3, 6),
        nn.Sequential(nn.Linear(6, 8), dropout, nn.Linear(8, 1)),
        latent=Latent(3),
        batch=16,
        critic_steps=1,
        constraint=WeightClipping(),
    )
    trainer.attach(vectors())
    masks.clear()
    trainer.advance()
    count = len(masks)
    trainer.advance()
    assert not torch.equal(masks[0], masks[count])


@pytest.mark.parametrize("what", ["batch", "seed"])
def test_mirrors_depend_on_the_batch_and_on_the_seed(what: str) -> None:
    images = np.zeros((1, 2, 4, 1), np.uint8)
    images[0, 0, 0] = 255
    a = Batches(Pictures(images), 64, seed=0, flip=True)
    b = a if what == "batch" else Batches(Pictures(images), 64, seed=1, flip=True)
    assert not torch.equal(a[0], b[1 if what == "batch" else 0])


def test_draws_and_orders_depend_on_the_batch_and_on_the_seed() -> None:
    few, many = (plain(np.arange(n, dtype=np.float32)[:, None]) for n in (3, 50))
    assert not torch.equal(Batches(few, 64, 0).index(0), Batches(few, 64, 0).index(1))
    assert not torch.equal(Batches(few, 64, 0).index(0), Batches(few, 64, 1).index(0))
    assert not torch.equal(Batches(many, 10, 0).index(0), Batches(many, 10, 1).index(0))


def test_catching_up_draws_nothing_of_the_caller_s_and_is_repeatable() -> None:
    trainer = picture_trainer("gp", dropout=0.5)
    trainer.advance()
    state, ends = torch.get_rng_state(), []
    for _ in range(2):
        with trainer.caught_up(3):
            ends.append(torch.cat([w.detach().flatten() for w in trainer.critic.parameters()]))
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(*ends)


def test_the_trainer_s_seed_chooses_batches_and_what_is_measured() -> None:
    one, two = (tiny_trainer(seed=seed) for seed in (1, 2))
    assert not torch.equal(one.batches.index(0), two.batches.index(0))
    for trainer in (one, two):
        trainer.attach(vectors(3000))
    assert not torch.equal(one._meter.train_index[0], two._meter.train_index[0])
    z = [t._meter.fake(nn.Identity(), 0, 0) for t in (one, two)]
    assert not torch.equal(*z)


def test_endless_readings_of_two_seeds_do_not_overlap() -> None:
    data = open_data("ring", DataConfig())
    starts = [int(Batches(data.train, 16, seed=seed).index(0)[0]) for seed in range(50)]
    assert len(set(starts)) == 50 and max(starts) < 2**62
    assert {start % 2**22 for start in starts} == {0}  # so that readings of 2^22 samples are apart


def test_parts_have_their_shares_and_batches_depend_on_the_seed() -> None:
    x = np.random.default_rng(0).normal(size=(1200, 2))
    places = []
    for seed in (0, 1):
        sides = Arrays(x, x + 1, seed)
        assert [len(sides.part(n).x) for n in ("validation", "test", "certify", "train")] == [100, 200, 200, 700]
        train, batch = sides.part("train").x, sides.batch(3, 64, "any").x
        places.append((batch[:, None] == train[None]).all(2).int().argmax(1))
    assert not torch.equal(*places)


def test_what_samplers_draw_hangs_on_the_seed() -> None:
    def draw(n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 2, generator=generator)

    one, two = (Samplers(draw, draw, seed) for seed in (0, 1))
    assert not torch.equal(one._samplers[0](4, torch.Generator()), one.part("test").x[:4])
    raw = [next(s._raw(4, "test", 0)) for s in (one, two)]
    assert not torch.equal(*raw)


def test_samples_are_those_of_the_average_in_evaluation() -> None:
    trainer = picture_trainer("gp", generator_lr=0.05)
    for _ in range(3):
        trainer.advance()
    z = trainer.latent.draw(64, rng(2, "sample", 0))[:5]
    assert not trainer.average.module.training
    with torch.no_grad():
        expected = trainer.average.module(z)
    assert torch.allclose(trainer.sample(5, seed=2), expected)
    trainer.generator.zero_grad()
    with torch.no_grad():
        for w in trainer.generator.parameters():
            w.zero_()
    assert torch.allclose(trainer.sample(5, seed=2), expected)


def test_a_trainer_mirrors_if_it_is_told_to() -> None:
    torch.manual_seed(0)
    image = np.zeros((20, 4, 4), np.uint8)
    image[:, :, 0] = 255
    image[:, 0, 1] = np.arange(20)
    for flip in (False, True):
        trainer = Trainer(
            nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (1, 4, 4))),
            nn.Sequential(nn.Flatten(), nn.Linear(16, 1)),
            latent=Latent(3),
            batch=16,
            flip=flip,
        )
        trainer.attach(image)
        assert bool((trainer.batches[0][:, 0, 0, 3] == 1).any()) == flip
