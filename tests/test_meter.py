"""What a record measures: estimate, error, gap, noise floor and bound, and that measuring disturbs nothing."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from toolbox import Keeping, picture_trainer, plain, tiny_trainer, vectors
from wgan.confidence import lower_bound
from wgan.config import DataConfig
from wgan.constraints import Constraint, GradientPenalty, Orthogonal, WeightClipping
from wgan.data import open_data
from wgan.errors import UsageError
from wgan.networks import Latent, make_critic
from wgan.objectives import Minimax
from wgan.registry import CONSTRAINTS, NETWORKS
from wgan.seeds import rng
from wgan.trainer import Trainer
from wgan.trainer.checks import mixes
from wgan.trainer.meter import Meter, probe


def test_the_estimate_is_the_mean_of_held_out_scores_less_that_of_generated_ones() -> None:
    trainer = tiny_trainer()
    meter = trainer._meter
    record = meter(trainer.generator, trainer.critic, 0)
    fakes = [meter.fake(trainer.generator, 0, k) for k in range(len(meter.train_index))]
    with torch.no_grad():
        real_mean = torch.cat([trainer.critic(meter.real(meter.held_out, i)) for i in meter.held_out_index]).mean()
        fake_mean = torch.cat([trainer.critic(b) for b in fakes]).mean()
    assert record.wasserstein_heldout == pytest.approx((real_mean - fake_mean).item())


def test_a_record_is_about_the_samples_that_one_gets() -> None:
    trainer = picture_trainer("gp", catch_up=0, generator_lr=0.01)
    for _ in range(5):
        trainer.advance()
    meter = trainer._meter
    samples = [
        trainer.latent.draw(8, rng(trainer.seed, f"measured latent {k}", 5)) for k in range(len(meter.train_index))
    ]
    with torch.no_grad():
        real = torch.cat([trainer.critic(meter.real(meter.held_out, i)) for i in meter.held_out_index]).mean()
        mine, theirs = (
            trainer.critic(torch.cat([module(z) for z in samples])).mean()
            for module in (trainer.average.module, trainer.generator.eval())
        )
    estimate = trainer.record()["wasserstein_heldout"]
    assert estimate == pytest.approx((real - mine).item(), rel=1e-4)
    assert estimate != pytest.approx((real - theirs).item(), rel=1e-2)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_measured_as_it_works(training: bool) -> None:
    norm, x = nn.BatchNorm1d(3).train(training), torch.randn(8, 3) + 2
    copied = probe(norm)
    assert torch.allclose(copied(x).mean(0), torch.zeros(3) if training else x.mean(0), atol=1e-4)
    assert torch.equal(norm.running_mean, torch.zeros(3))


class Rows(nn.Module):
    """A generator that gives these samples, one batch after the other, over and over."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows, self.given = rows, 0

    def forward(self, z: Tensor) -> Tensor:
        start = self.given % len(self.rows)
        self.given += len(z)
        return self.rows[start : start + len(z)]


def test_swapping_real_and_generated_samples_flips_the_sign_of_the_estimate() -> None:
    critic, x, y = tiny_trainer().critic, vectors(96), vectors(192)[96:] + 5
    opened = open_data(x, DataConfig())

    def estimate(real: Any, fake: Any) -> float:
        data = replace(opened, train=plain(real), held_out=plain(real))
        meter = Meter(data, Latent(3), 16, 0, lambda batch: batch.double())
        return meter(Rows(torch.from_numpy(fake)), critic, 0).wasserstein_heldout

    forward, backward = estimate(x, y), estimate(y, x)
    assert abs(forward) > 0.01 and backward == pytest.approx(-forward, rel=1e-6)


def test_standard_error_and_gap_agree_with_numpy() -> None:
    trainer = tiny_trainer()
    for _ in range(3):
        trainer.advance()
    meter = trainer._meter
    record = meter(trainer.generator, trainer.critic, 0)
    reals = [meter.real(meter.train, i) for i in meter.train_index]
    held_out = [meter.real(meter.held_out, i) for i in meter.held_out_index]
    fakes = [meter.fake(trainer.generator, 0, k) for k in range(max(len(reals), len(held_out)))]
    with torch.no_grad():
        train, held, fake = (
            torch.cat([trainer.critic(b).flatten() for b in x]).numpy() for x in (reals, held_out, fakes)
        )
    error = math.sqrt(held.var(ddof=1) / len(held) + fake.var(ddof=1) / len(fake))
    assert record.wasserstein_stderr == pytest.approx(error)
    gap = meter.gap(trainer.critic)
    assert gap["gap"] == pytest.approx(train.mean() - held.mean())
    assert gap["gap"] == pytest.approx(record.wasserstein - record.wasserstein_heldout)
    variances = train.var(ddof=1) / len(train) + held.var(ddof=1) / len(held)
    assert gap["gap_stderr"] == pytest.approx(math.sqrt(variances))


def test_measuring_changes_nothing_about_training() -> None:
    quiet, watched = (picture_trainer(dropout=0.1) for _ in range(2))
    for _ in range(4):
        quiet.advance()
        watched.advance()
        watched.record()
    for one, other in (
        (quiet.generator, watched.generator),
        (quiet.critic, watched.critic),
        (quiet.average.module, watched.average.module),
    ):
        states = one.state_dict(), other.state_dict()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_noise_floor_is_what_halves_of_real_samples_differ_by() -> None:
    trainer = tiny_trainer(catch_up=0)
    trainer.attach(vectors(20_000))
    floor = trainer.record()["noise_floor"]
    with torch.no_grad():
        rows = trainer._meter.held_out.batch(torch.arange(trainer._meter.held_out.size)).double()
        scores = trainer.critic(rows).flatten().numpy()
    draw = np.random.default_rng(0)
    pairs = [draw.choice(scores, (2, 1024)).mean(axis=1) for _ in range(2000)]
    assert floor == pytest.approx(np.quantile(np.abs(np.diff(pairs, axis=1)), 0.95), rel=0.15)


@pytest.mark.parametrize("weight", [1.0, 4.0, 0.25])
def test_under_orthogonal_weights_estimates_and_the_bound_are_in_units_of_w1(weight: float) -> None:
    trainer = tiny_trainer(constraint=Orthogonal(weight), catch_up=0)
    for _ in range(20):
        trainer.advance()
    record, meter = trainer.record(), trainer._meter
    with torch.no_grad():
        train, held_out = (
            trainer.critic(torch.cat([meter.real(samples, rows) for rows in index])).flatten().numpy() / weight
            for samples, index in ((meter.train, meter.train_index), (meter.held_out, meter.held_out_index))
        )
        fakes = [meter.fake(trainer.average.module, trainer.step, k) for k in range(len(meter.train_index))]
        fake = trainer.critic(torch.cat(fakes)).flatten().numpy() / weight
    assert record["wasserstein"] == pytest.approx(train.mean() - fake.mean())
    assert record["wasserstein_heldout"] == pytest.approx(held_out.mean() - fake.mean())
    assert record["gap"] == pytest.approx(train.mean() - held_out.mean())
    spread = math.sqrt(1 / 20 + 1 / len(fake))  # of 20 held-out samples
    assert record["noise_floor"] == pytest.approx(1.96 * np.std(held_out, ddof=1) * spread)
    errors = stats.t.ppf(0.999, 20 - 1) * max(np.std(side, ddof=1) for side in (held_out, fake)) * spread
    assert record["wasserstein_bound"] == pytest.approx(record["wasserstein_heldout"] - errors, rel=1e-4)
    assert 0.1 * weight < record["gradient_norm"] <= weight * (1 + 1e-4), "the critic's own"
    assert tiny_trainer(constraint=GradientPenalty()).record()["wasserstein_bound"] is None


def test_a_discriminator_has_no_gap_and_none_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "gap", lambda *_: pytest.fail("two passes for nothing"))
    record = tiny_trainer(objective=Minimax()).record()
    assert record["gap"] is record["gap_stderr"] is record["wasserstein"] is None and record["gradient_norm"] > 0


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize("change", [torch.nn.utils.spectral_norm, torch.nn.utils.weight_norm, Keeping])
@pytest.mark.parametrize("constraint", [WeightClipping(0.5), GradientPenalty()])
def test_critics_that_keep_something_of_their_last_pass_are_measured_as_they_are(
    change: Any, constraint: Constraint
) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(change(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 1))
    trainer = Trainer(nn.Linear(2, 6), critic, latent=Latent(2), constraint=constraint, batch=16, catch_up=0)
    (record,) = trainer.fit(vectors(), steps=2)
    kept = {name: value for name, value in vars(critic[0]).items() if isinstance(value, Tensor)}
    assert kept and all(value.requires_grad for value in kept.values())
    meter, critic = trainer._meter, critic.eval()
    with torch.no_grad():
        on_train, on_held_out = (
            torch.cat([critic(meter.real(samples, rows)) for rows in meter._suited(index, critic)]).mean()
            for samples, index in ((meter.train, meter.train_index), (meter.held_out, meter.held_out_index))
        )
    assert record["gap"] == pytest.approx(float(on_train - on_held_out), rel=1e-4, abs=1e-7)


def test_batch_norm_in_the_critic_wants_two_samples_on_either_side() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    trainer = Trainer(nn.Linear(2, 6), critic, latent=Latent(2), constraint=WeightClipping(), batch=4)
    opened, two, one = open_data(vectors(8), DataConfig()), plain(vectors(2)), plain(vectors(1))
    (record,) = trainer.fit(replace(opened, train=two, held_out=two), steps=1)
    assert record["wasserstein_stderr"] is not None
    with pytest.raises(UsageError, match=r"at least 2 held-out samples.*; use --held-out 2, or norm='layer'"):
        trainer.attach(replace(opened, train=two, held_out=one))
    with pytest.raises(UsageError, match=r"at least 2 training samples.*; use more data, or norm='layer'"):
        trainer.attach(replace(opened, train=one, held_out=two))


@pytest.mark.parametrize("n", [2, 5, 10])
def test_the_bound_of_few_samples_is_as_certain_as_it_says(n: int) -> None:
    """Of two equal normal distributions, it is above 0 in one case of a thousand."""
    draw = np.random.default_rng(n)
    real, fake = draw.normal(size=(20_000, n)), draw.normal(size=(20_000, 64))
    pairs = zip(map(torch.from_numpy, real), map(torch.from_numpy, fake), strict=True)
    bounds = [lower_bound(x, y, 1.0) for x, y in pairs]
    assert sum(bound is not None and bound > 0 for bound in bounds) <= 40
    few = torch.zeros(n)
    assert lower_bound(few, few, 0.0) == 0 and lower_bound(few, few, None) is lower_bound(few, few[:1], 1.0) is None


@pytest.mark.parametrize(("n", "share"), [(33, 0.05), (100, 0.01), (833, 0.003)])
def test_the_bound_holds_where_the_smaller_side_has_nothing_of_what_is_rare(n: int, share: float) -> None:
    """Both sides are of one distribution; the few miss its rare scores in up to every third case."""
    draw = np.random.default_rng(n)
    wrong = 0
    for _ in range(1000):
        few, many = (torch.from_numpy((draw.random(size) < share) * -1.0) for size in (n, 5000))
        wrong += (lower_bound(few, many, 1.0) or 0.0) > 0
    assert wrong <= 3


class Deviating(nn.Module):
    """Adds to each score how the batch spreads, as critics do that shall notice equal samples."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 1).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + x.std(0).mean()


@pytest.mark.parametrize(("critic", "sizes"), [(Deviating(), [16, 16, 16]), (nn.Linear(6, 1).double(), [32, 16])])
def test_real_and_generated_samples_go_apart_to_a_critic_that_may_mix_a_batch(
    critic: nn.Module, sizes: list[int]
) -> None:
    trainer = Trainer(nn.Linear(3, 6).double(), critic, latent=Latent(3), batch=16, critic_steps=1,
                      constraint=WeightClipping())  # fmt: skip
    trainer.attach(vectors())
    seen: list[int] = []
    trainer.critic.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    trainer.advance()
    assert seen == sizes  # real and generated, together or not, and the generator's


class Centred(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda *_: None)
    return layer


def replaced(layer: nn.Module) -> nn.Module:
    layer.forward = lambda x: x - x.mean(0)
    return layer


@pytest.mark.parametrize(
    ("part", "mixed"),
    [
        (nn.Dropout(0.5), False),
        (spectral_norm(nn.Linear(6, 6)), False),
        (nn.BatchNorm1d(6), True),
        (nn.TransformerEncoderLayer(6, 2, 8), True),
        (nn.Softmax(0), True),
        (nn.GRU(6, 6), True),
        (nn.Softmax2d(), True),
        (Deviating(), True),
        (spectral_norm(Centred(6, 6)), True),
        (torch.fx.symbolic_trace(Deviating()), True),
        (hooked(nn.Linear(6, 6)), True),
        (replaced(nn.Identity()), True),
    ],
)
def test_a_critic_may_mix_a_batch_by_a_layer_that_does_or_is_not_known(part: nn.Module, mixed: bool) -> None:
    assert mixes(nn.Sequential(nn.Linear(6, 6), nn.Sequential(part))) == mixed


@pytest.mark.parametrize(
    ("family", "shape"),
    [("mlp", (6,)), *((family, shape) for family in sorted(NETWORKS) for shape in ((1, 28, 28), (3, 20, 33)))],
)
def test_no_family_mixes_a_batch_without_batch_norm(family: str, shape: tuple[int, ...]) -> None:
    for constraint in CONSTRAINTS.values():
        assert not mixes(constraint.load()().prepare(make_critic(family, shape, width=8, norm="none")))
    assert mixes(make_critic(family, shape, width=8, norm="batch", depth=2))


def test_a_critic_with_a_hook_has_no_bound_and_trains() -> None:
    trainer = tiny_trainer(constraint=Orthogonal(), catch_up=0)
    assert trainer.record()["wasserstein_bound"] is not None
    trainer.critic[2].register_forward_hook(lambda *_: None)
    trainer.advance()
    assert trainer.record()["wasserstein_bound"] is None


class Half(nn.Module):
    """f(x) = |x|^2 / 2, whose slope is |x|."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x.flatten(1).square().sum(1) / 2


class Same(nn.Module):
    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def forward(self, z: Tensor) -> Tensor:
        return torch.full((len(z), 2), self.at) + 0 * z[:, :1]


def meter_of(train: np.ndarray, held_out: np.ndarray, batch: int = 16) -> Meter:
    opened = open_data(vectors(40, 2), DataConfig())
    data = replace(opened, train=plain(train.astype(np.float32)), held_out=plain(held_out.astype(np.float32)))
    return Meter(data, Latent(3), batch, 0, lambda x: x.float())


def test_noise_floor_is_of_held_out_scores_in_closed_form() -> None:
    class First(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0]

    draw = np.random.default_rng(0)
    train, held = draw.normal(size=(96, 2)), 3 * draw.normal(size=(32, 2))
    floor = meter_of(train, held)(Same(0.0), First(2, 1), 0).noise_floor
    used = held.astype(np.float32)[:, 0]
    assert floor == pytest.approx(1.96 * used.std(ddof=1) * math.sqrt(1 / 32 + 1 / 96), rel=1e-5)


class Spread(nn.Module):
    """What a critic of one's own may see in a batch: how its samples differ."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.std(0)


@pytest.mark.parametrize(("norm", "used"), [(nn.Identity(), 100), (nn.BatchNorm1d(2), 64), (Spread(), 64)])
def test_all_samples_are_measured_but_those_that_would_be_mixed_in_a_short_batch(norm: nn.Module, used: int) -> None:
    draw, linear = np.random.default_rng(0), nn.Linear(2, 1)
    meter = meter_of(draw.normal(size=(100, 2)), draw.normal(size=(100, 2)), batch=64)
    critic = nn.Sequential(norm, linear)
    train, held_out, fake = meter.scores(Same(0.0), critic.eval(), 0)
    assert (len(train), len(held_out), len(fake)) == (used, used, -(-used // 64) * 64)
    rows = torch.cat(meter.held_out_index)[:used]
    assert len(rows.unique()) == used
    with torch.no_grad():
        scores = [critic(part).flatten() for part in meter.held_out.batch(rows).float().split(64)]
    assert torch.allclose(held_out, torch.cat(scores).double())


def test_gradient_norms_are_between_held_out_and_generated_at_new_points() -> None:
    train, held = np.full((64, 2), 100.0), np.full((512, 2), 3.0)
    meter = meter_of(train, held)
    found = [meter(Same(1.0), Half(), step) for step in (0, 1)]
    for each in found:
        assert math.sqrt(2) < each.gradient_norm < 3 * math.sqrt(2)
        assert each.gradient_norm == pytest.approx(2 * math.sqrt(2), rel=0.1)
        assert each.gradient_norm_fake == pytest.approx(math.sqrt(2), rel=1e-4)
    assert found[0].gradient_norm != found[1].gradient_norm
    assert meter.slope(Same(1.0), Half(), 0) == found[0].gradient_norm
    assert sum(map(len, meter.held_out_index)) == 512
    points: list[Tensor] = []
    critic = Half()
    critic.register_forward_pre_hook(lambda _, given: points.append(given[0]))
    meter.slope(Same(1.0), critic, 0)
    assert sum(map(len, points)) == 2 * 256  # between and at generated samples


@pytest.mark.parametrize(("shape", "samples"), [((3, 32, 32), 1024), ((1, 33, 32), 512), ((3000,), 1024)])
def test_how_many_samples_are_measured(shape: tuple[int, ...], samples: int) -> None:
    opened = open_data(vectors(40, 2), DataConfig())
    assert Meter(replace(opened, shape=shape), Latent(3), 16, 0, lambda x: x).samples == samples


def test_slopes_are_those_of_evaluation() -> None:
    class Batchy(nn.Module):
        """Batch norm before a linear score: in evaluation the slope is that of the running statistics."""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.head = nn.BatchNorm1d(2), nn.Linear(2, 1, bias=False)
            nn.init.ones_(self.head.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(x))

    critic = Batchy()
    meter = meter_of(np.random.default_rng(0).normal(size=(64, 2)), np.random.default_rng(1).normal(size=(64, 2)) * 9)
    found = meter(Same(1.0), critic.train(), 0)
    assert found.gradient_norm == pytest.approx(math.sqrt(2), rel=1e-3)
