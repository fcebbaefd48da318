"""Networks of one's own: what they may do, and in which words they are refused."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

import wgan
from toolbox import vectors
from wgan.constraints import (
    R1,
    Constraint,
    GradientNormPenalty,
    LipschitzPenalty,
    Orthogonal,
    SpectralNorm,
    Sum,
    WeightClipping,
)
from wgan.errors import UsageError
from wgan.networks import Latent
from wgan.registry import CONSTRAINTS
from wgan.trainer import Trainer


def test_your_own_modules_train_with_fit() -> None:
    generator, critic = nn.Linear(2, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    generator.latent = 2  # type: ignore[assignment]
    trainer = Trainer(generator, critic, constraint=LipschitzPenalty(10.0), critic_steps=2, batch=16)
    found = list(trainer.fit(vectors(), steps=7, tick=3))
    assert [record["step"] for record in found] == [3, 6, 7]
    assert found[-1]["images"] == 7 * 2 * 16
    assert trainer.sample(5).shape == (5, 6)


def test_a_generator_without_a_latent_is_refused() -> None:
    with pytest.raises(UsageError, match=r"latent=Latent\(size\)"):
        Trainer(nn.Linear(2, 6), nn.Linear(6, 1))


def test_samples_of_another_shape_are_refused() -> None:
    trainer = Trainer(nn.Linear(2, 5), nn.Linear(6, 1), latent=Latent(2), constraint=WeightClipping())
    with pytest.raises(UsageError, match=r"shape \(5,\), but the data were opened as \(6,\)"):
        trainer.attach(vectors())


class Halving(nn.Module):
    """Makes one sample of two latents."""

    latent = np.int64(4)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 2)

    def forward(self, z: Tensor) -> Tensor:
        return self.layer(z.reshape(-1, 8))


def test_a_generator_that_makes_another_number_of_samples_is_refused() -> None:
    trainer = Trainer(Halving(), nn.Linear(2, 1), batch=8)
    with pytest.raises(UsageError, match=r"the generator gave \(32, 2\) from 64 latents"):
        trainer.sample(8)


class Grainy(nn.Linear):
    """Adds noise of its own."""

    def forward(self, z: Tensor) -> Tensor:
        made = super().forward(z)
        return made + torch.randn_like(made)


def test_samples_of_a_generator_with_noise_of_its_own_are_a_function_of_the_seed() -> None:
    trainer, stream = Trainer(Grainy(3, 2), nn.Linear(2, 1), latent=Latent(3)), torch.get_rng_state()
    drawn = trainer.sample(4, seed=1)
    assert torch.equal(drawn, trainer.sample(4, seed=1)) and not torch.equal(drawn, trainer.sample(4, seed=2))
    assert torch.equal(torch.get_rng_state(), stream)


def test_scores_of_another_shape_are_refused() -> None:
    trainer = Trainer(nn.Linear(2, 6), nn.Linear(6, 2), latent=Latent(2), constraint=WeightClipping())
    with pytest.raises(UsageError, match=r"one number a sample"):
        trainer.attach(vectors())


@pytest.mark.parametrize("name", sorted({*CONSTRAINTS} - {"orthogonal"}))
def test_layers_that_you_froze_stay_as_they_are(name: str) -> None:
    torch.manual_seed(0)
    generator, critic = nn.Linear(2, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    critic[0].requires_grad_(False)
    before = [weight.clone() for weight in critic[0].parameters()]
    trainer = Trainer(generator, critic, latent=Latent(2), constraint=CONSTRAINTS[name].load()(), batch=16)
    list(trainer.fit(vectors(), steps=3))
    frozen, trained = ([*critic[layer].parameters()] for layer in (0, 2))  # under spectral norm, what it divides
    assert all(any(torch.equal(weight, old) for weight in frozen) for old in before)
    assert not any(weight.requires_grad for weight in frozen) and all(weight.requires_grad for weight in trained)


def test_networks_of_your_own_may_have_weights_of_five_axes_and_none_that_are_not_known() -> None:
    volume = nn.Sequential(nn.Unflatten(1, (1, 1, 2, 3)), nn.Conv3d(1, 2, (1, 2, 2)), nn.Flatten(), nn.Linear(4, 1))
    trainer = Trainer(nn.Linear(2, 6), volume, latent=Latent(2), batch=8)
    trainer.attach(vectors())
    trainer.advance()
    with pytest.raises(UsageError, match="call it once on a batch before"):
        Trainer(nn.Linear(2, 6), nn.LazyLinear(1), latent=Latent(2))


def test_pictures_that_were_made_smaller_are_told_with_the_remedy() -> None:
    generator = nn.Sequential(nn.Linear(2, 130**2), nn.Unflatten(1, (1, 130, 130)))
    images = np.random.default_rng(0).integers(0, 256, (20, 130, 130), np.uint8)
    trainer = Trainer(generator, nn.Sequential(nn.Flatten(), nn.Linear(130**2, 1)), latent=Latent(2), batch=4)
    with pytest.raises(UsageError, match=r"wgan\.open_data\(data, wgan\.DataConfig\(size=\(130, 130\), channels=1\)\)"):
        trainer.attach(images)
    trainer.attach(wgan.open_data(images, wgan.DataConfig(size=(130, 130))))
    trainer.advance()


class Pair(nn.Module):
    """Gives a tuple, as networks do that have something else to tell."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.network(x), None


class Remembers(nn.Linear):
    """Has something in its state that is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"seen": 1}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Nothing comes back."""


SHARED = nn.Linear(3, 6)


@pytest.mark.parametrize(
    ("generator", "critic", "message"),
    [
        (nn.Linear(3, 6), Pair(nn.Linear(6, 1)), "the critic gave a tuple; it must give a tensor of scores"),
        (Pair(nn.Linear(3, 6)), nn.Linear(6, 1), "the generator gave a tuple; it must give a tensor of samples"),
        (nn.Linear(3, 6), nn.Linear(6, 1).requires_grad_(False), "the critic has no weights to train"),
        (nn.Tanh(), nn.Linear(6, 1), "the generator has no weights to train"),
        (
            nn.Linear(3, 6),
            nn.Linear(6, 1).double(),
            "the generator is of torch.float32 and the critic of torch.float64",
        ),
        (SHARED, nn.Sequential(SHARED, nn.Linear(6, 1)), "generator and critic share weights, which both would train"),
        (
            Remembers(3, 6),
            nn.Linear(6, 1),
            "the generator has _extra_state of type dict in its state",
        ),
    ],
)
def test_networks_that_cannot_be_trained_are_refused_in_words(
    generator: nn.Module, critic: nn.Module, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        next(
            Trainer(generator, critic, latent=Latent(3), batch=16, constraint=WeightClipping()).fit(vectors(), steps=1)
        )


def test_networks_that_were_left_in_evaluation_mode_learn_their_statistics() -> None:
    generator = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6)).eval()
    trainer = Trainer(generator, nn.Linear(6, 1), latent=Latent(3), batch=16, constraint=WeightClipping())
    trainer.attach(vectors())
    trainer.advance()
    assert generator[1].running_mean.abs().max() > 0


def test_a_frozen_network_may_be_shared() -> None:
    frozen = nn.Linear(6, 6).requires_grad_(False)
    generator, critic = nn.Sequential(nn.Linear(3, 6), frozen), nn.Sequential(frozen, nn.Linear(6, 1))
    before = frozen.weight.clone()
    list(Trainer(generator, critic, latent=Latent(3), batch=16).fit(vectors(), steps=2))
    assert torch.equal(frozen.weight, before)


def small_networks(samples: int = 6) -> tuple[nn.Module, nn.Module]:
    return nn.Linear(2, samples), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


def test_a_critic_that_cannot_take_the_data_is_refused_in_words() -> None:
    trainer = Trainer(nn.Linear(2, 6), nn.Linear(7, 1), latent=Latent(2), constraint=WeightClipping())
    with pytest.raises(UsageError, match=r"^the critic fails on samples \(1, 6\): mat1 and mat2"):
        trainer.attach(vectors())


class Raising(nn.Linear):
    """A layer of a user's whose code is wrong."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(4)  # an IndexError


@pytest.mark.parametrize("name", ["generator", "critic"])
def test_whatever_a_network_raises_is_said_in_words(name: str) -> None:
    layers = {"generator": nn.Linear(2, 6), "critic": nn.Linear(6, 1)}
    layers[name] = Raising(layers[name].in_features, layers[name].out_features)
    trainer = Trainer(**layers, latent=Latent(2), constraint=WeightClipping())
    with pytest.raises(UsageError, match=rf"^the {name} fails on .*: Dimension out of range"):
        trainer.attach(vectors())


def test_a_look_at_samples_between_steps_does_not_end_training_mode() -> None:
    trainers = []
    for looks in (False, True):
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))
        trainers.append(Trainer(generator, small_networks()[1], latent=Latent(2), batch=16))
        for record in trainers[-1].fit(vectors(), steps=4, tick=1):
            assert record["step"] <= 4
            if looks:
                generator.eval(), trainers[-1].critic.eval()
    plain, looked = (trainer.generator.state_dict() for trainer in trainers)
    assert all(torch.equal(plain[name], looked[name]) for name in plain)


def test_steps_that_are_done_already_are_not_called_a_training() -> None:
    trainer = Trainer(*small_networks(), latent=Latent(2), batch=16)
    list(trainer.fit(vectors(), steps=3))
    with pytest.raises(UsageError, match=r"^steps is 3, and the trainer is at step 3 already; .* give more, as 6\."):
        trainer.fit(vectors(), steps=3)


class Cut(nn.Module):
    """Gives what its layer gives, without its history."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x).detach()
        return made


@pytest.mark.parametrize(("cut", "what"), [(0, "the generator's samples"), (1, "the critic's scores")])
def test_a_network_that_cuts_its_output_off_is_refused(cut: int, what: str) -> None:
    networks = list(small_networks())
    networks[cut] = Cut(networks[cut])
    trainer = Trainer(*networks, latent=Latent(2), batch=16, constraint=WeightClipping())
    trainer.attach(vectors())
    with pytest.raises(UsageError, match=rf"^{what} are cut off from its weights"):
        trainer.advance()


def test_a_penalty_without_a_gradient_is_refused() -> None:
    class Forgetful(Constraint):
        label = "mine"

        def __init__(self) -> None:  # without super(): the usual weight and interval
            pass

        def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
            x = real.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(critic(x).sum(), x)
            return (gradient.norm(2, 1) - 1).square().mean()

    trainer = Trainer(*small_networks(), latent=Latent(2), batch=16, constraint=Forgetful())
    trainer.attach(vectors())
    with pytest.raises(UsageError, match=r"^mine: the penalty has no gradient.*create_graph=True"):
        trainer.advance()


SHARED = torch.optim.Adam(nn.Linear(2, 6).parameters(), 1e-3)


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (lambda weights: torch.optim.SGD(weights, 0.1), "is called with weights and a learning rate, and fails"),
        (partial(torch.optim.Adam, lr=2e-4), "is called with weights and a learning rate, and fails"),
        (lambda weights, lr: None, "makes None, which is no optimizer"),
        (lambda weights, lr: SHARED, "makes one of other weights than it is given"),
        (lambda weights, lr: torch.optim.SGD(weights[:1], lr), "makes one of other weights than it is given"),
    ],
)
def test_an_optimizer_of_your_own_that_cannot_train_is_refused(optimizer: Any, why: str) -> None:
    with pytest.raises(UsageError, match=rf"^optimizer {why}.*; give a class of torch\.optim, or a function"):
        Trainer(*small_networks(), latent=Latent(2), optimizer=optimizer)


def test_what_is_no_network_or_constraint_is_named() -> None:
    generator, critic = small_networks()
    with pytest.raises(UsageError, match=r"^critic is <function .*; give an object such as nn\.Sequential"):
        Trainer(generator, lambda x: x.sum(1), latent=Latent(2))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"a sum of constraints is given \[.*; give objects, as in Sum"):
        Sum([R1(1.0), LipschitzPenalty()])  # type: ignore[arg-type]

    class Lost(Constraint):
        label = "mine"

        def prepare(self, critic: nn.Module) -> nn.Module:
            return None  # type: ignore[return-value]

    with pytest.raises(UsageError, match=r"^mine: prepare gives None; give the critic"):
        Trainer(generator, critic, latent=Latent(2), constraint=Lost())


class Spread(nn.Module):
    """Scores that depend on how the batch is spread."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.layer(x) + x.std(0, correction=0).sum()
        return scores


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_a_critic_that_mixes_its_batch_is_refused_under_a_penalty_of_each_sample(name: str) -> None:
    constraint = CONSTRAINTS[name].load()()
    if name == "orthogonal":  # which refuses what it does not know
        return
    trainer = Trainer(nn.Linear(2, 6), Spread(), latent=Latent(2), batch=16, constraint=constraint)
    if isinstance(constraint, GradientNormPenalty):
        with pytest.raises(UsageError, match="score of a sample depends on the others in its batch"):
            trainer.attach(vectors())
    else:
        trainer.attach(vectors())


def test_a_critic_that_is_trained_again_is_rid_of_the_earlier_spectral_norm() -> None:
    generator, critic = small_networks()
    for _ in range(3):
        Trainer(generator, critic, latent=Latent(2), constraint=SpectralNorm(2.0))
    assert [len(critic[layer].parametrizations["weight"]) for layer in (0, 2)] == [2, 2]
    Trainer(generator, critic, latent=Latent(2), constraint=LipschitzPenalty())
    assert not any(parametrize.is_parametrized(layer) for layer in critic)
    spectral_norm(critic[0])  # a user's own stays
    Trainer(generator, critic, latent=Latent(2), constraint=LipschitzPenalty())
    assert parametrize.is_parametrized(critic[0])


def test_constraints_of_your_own_are_called_by_their_names_and_no_sum_is_empty() -> None:
    class Mine(Constraint):
        pass

    assert str(Mine(2.0)) == "Mine 2" and Mine().arbitrary_under == "Mine"
    with pytest.raises(UsageError, match=r"a sum of constraints has none; use Unconstrained\(\)"):
        Sum()


def test_a_matrix_that_layers_share_is_kept_orthogonal_once() -> None:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    critic = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(6, 1))
    Trainer(nn.Linear(2, 6), critic, latent=Latent(2), constraint=Orthogonal())
    assert len(first.weight._backward_hooks or {}) == 1


def test_a_sample_does_not_hang_on_how_many_are_drawn() -> None:
    trainer = Trainer(*small_networks(), latent=Latent(2))
    many = trainer.sample(200, seed=3)
    assert torch.equal(trainer.sample(70, seed=3), many[:70]) and torch.equal(trainer.sample(1, seed=3), many[:1])
    assert len(many.unique(dim=0)) == 200
