"""The two steps: against a loop written out by hand, for every constraint and objective, in both precisions."""

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from toolbox import blobs, tiny_trainer, vectors
from wgan.config import DataConfig
from wgan.constraints import R1, R2, GradientPenalty, LipschitzPenalty, Orthogonal, Sum, WeightClipping
from wgan.data import open_data
from wgan.data.samples import Vectors
from wgan.ema import Average
from wgan.errors import UsageError
from wgan.ledger import DivergedError
from wgan.measurement import Meter
from wgan.networks import Latent, make_critic, make_generator
from wgan.optimizers import Adam, RMSprop
from wgan.penalties import segments
from wgan.registry import CONSTRAINTS, OBJECTIVES
from wgan.schedule import Decay
from wgan.seeds import rng
from wgan.trainer import Trainer


def textbook(trainer: Trainer, steps: int, weight: float) -> list[float]:
    """WGAN-GP as the paper's algorithm 1 writes it: plain Adam, three critic passes, norms by autograd.grad."""
    generator, critic = copy.deepcopy(trainer.generator), copy.deepcopy(trainer.critic)
    optimizers = [torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.0, 0.9)) for m in (generator, critic)]
    losses, update = [], 0
    for step in range(steps):
        for _ in range(3):
            real = trainer.batches[update].double()
            z = trainer.latent.draw(trainer.batch, rng(trainer.seed, "critic latent", update)).double()
            fake = generator(z).detach()
            where = torch.rand(trainer.batch, generator=rng(trainer.seed, "penalty 0", update))
            between = segments(real, fake, where).requires_grad_()
            (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
            loss = critic(fake).mean() - critic(real).mean() + weight * ((gradient.norm(dim=1) - 1) ** 2).mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            losses.append(loss.item())
            update += 1
        z = trainer.latent.draw(trainer.batch, rng(trainer.seed, "generator latent", step)).double()
        optimizers[0].zero_grad()
        (-critic(generator(z)).mean()).backward()
        optimizers[0].step()
    return [*losses, *(p.detach().sum().item() for m in (generator, critic) for p in m.parameters())]


def test_ten_steps_are_those_of_the_textbook_loop() -> None:
    trainer = tiny_trainer(constraint=GradientPenalty(10.0), critic_lr=1e-3, generator_lr=1e-3)
    expected = textbook(trainer, steps=10, weight=10.0)
    for _ in range(10):
        trainer.advance()
    ours = [p.detach().sum().item() for m in (trainer.generator, trainer.critic) for p in m.parameters()]
    assert ours == pytest.approx(expected[30:], rel=1e-8, abs=1e-10)
    means = trainer.ledger.means()
    assert means["critic_loss"] is not None and means["penalty"] is not None
    assert means["critic_loss"] + means["penalty"] == pytest.approx(np.mean(expected[:30]), rel=1e-8)


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_pair_takes_a_step_and_moves_both_networks(name: str, objective: str) -> None:
    trainer = tiny_trainer(constraint=CONSTRAINTS[name].load()(), objective=OBJECTIVES[objective].load()())
    before = [copy.deepcopy(m.state_dict()) for m in (trainer.generator, trainer.critic)]
    trainer.advance()
    for old, module in zip(before, (trainer.generator, trainer.critic), strict=True):
        moved = [not torch.equal(old[key], value) for key, value in module.state_dict().items()]
        assert any(moved)
    record = trainer.record()
    assert record["gradient_norm"] > 0
    assert (record["wasserstein"] is None) == (objective != "wasserstein")


@pytest.mark.parametrize("c", [0.01, 0.3])
def test_every_weight_is_within_the_bound_after_a_step(c: float) -> None:
    trainer = tiny_trainer(constraint=WeightClipping(c), optimizer=RMSprop(), critic_lr=0.5)
    trainer.advance()
    assert max(w.abs().max().item() for w in trainer.critic.parameters()) == c


def test_a_lazy_penalty_is_added_at_every_kth_step_k_times_as_strong() -> None:
    lazy = tiny_trainer(constraint=R1(2.0, every=3))
    real, fake = torch.randn(16, 6).double(), torch.randn(16, 6).double()
    loss = torch.zeros((), dtype=torch.float64)
    plain = 2.0 * R1().penalty(lazy.critic, real, fake, torch.rand(16))
    for update in range(7):
        lazy.critic_updates = update
        total, logged = lazy._penalised(loss, real, fake)
        assert total.item() == pytest.approx(3 * plain.item() if update % 3 == 0 else 0)
        assert (logged is None) == (update % 3 != 0)


def test_a_sum_adds_each_part_with_its_own_weight_and_interval() -> None:
    trainer = tiny_trainer(constraint=Sum(R1(2.0), R2(5.0, every=2)))
    real, fake = torch.randn(16, 6).double(), torch.randn(16, 6).double()
    r1, r2 = (part.penalty(trainer.critic, real, fake, torch.rand(16)).item() for part in trainer.constraint.parts)
    loss = torch.zeros((), dtype=torch.float64)
    total, logged = trainer._penalised(loss, real, fake)
    assert total.item() == pytest.approx(2 * r1 + 2 * 5 * r2)
    assert logged is not None and logged.item() == pytest.approx(2 * r1 + 5 * r2)


def test_the_estimate_is_the_mean_of_held_out_scores_less_that_of_generated_ones() -> None:
    trainer = tiny_trainer()
    meter = trainer._meter
    record = meter(trainer.generator, trainer.critic, 0)
    fakes = [meter.fake(trainer.generator, 0, k) for k in range(len(meter.train_index))]
    with torch.no_grad():
        real_mean = torch.cat([trainer.critic(meter.real(meter.held_out, i)) for i in meter.held_out_index]).mean()
        fake_mean = torch.cat([trainer.critic(b) for b in fakes]).mean()
    assert record.wasserstein_heldout == pytest.approx((real_mean - fake_mean).item())


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
        data = replace(opened, train=Vectors(real), held_out=Vectors(real))
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


def test_the_gap_is_that_of_the_critic_before_it_catches_up() -> None:
    trainer = tiny_trainer(catch_up=5)
    for _ in range(3):
        trainer.advance()
    expected = trainer._meter.gap(trainer.critic)
    record = trainer.record()
    assert {name: record[name] for name in expected} == expected
    assert record["gap"] != pytest.approx(record["wasserstein"] - record["wasserstein_heldout"], rel=1e-3)


def test_measuring_changes_nothing_about_training() -> None:
    quiet, watched = (picture_trainer(dropout=0.1) for _ in range(2))
    for _ in range(4):
        quiet.advance()
        watched.advance()
        watched.record()
    for name in ("generator", "critic"):
        one, other = (getattr(t, name).state_dict() for t in (quiet, watched))
        assert all(torch.equal(one[key], other[key]) for key in one)


def picture_trainer(constraint: str = "spectral", dropout: float = 0.0, **changes: object) -> Trainer:
    torch.manual_seed(0)
    generator = make_generator("dcgan", (1, 8, 8), Latent(4), width=4, norm="batch")
    critic = make_critic("dcgan", (1, 8, 8), width=4, dropout=dropout)
    made = CONSTRAINTS[constraint].load()()
    trainer = Trainer(generator, critic, constraint=made, batch=8, critic_steps=1, **changes)
    trainer.attach(blobs())
    return trainer


def test_warm_up_takes_more_critic_steps_at_first_and_at_every_500th() -> None:
    trainer = tiny_trainer(critic_steps=5, warmup=(25, 100))
    counts = [trainer.critic_steps.before(step) for step in (0, 24, 25, 499, 500, 501, 1000)]
    assert counts == [100, 100, 5, 5, 100, 5, 100]
    shown = 0
    for step in range(60):
        shown += trainer.critic_steps.before(step)
        assert trainer.critic_steps.generator_steps(shown) == step + 1
    assert tiny_trainer(critic_steps=5).critic_steps.generator_steps(11) == 3


def test_learning_rates_are_separate_and_decay() -> None:
    trainer = tiny_trainer(critic_lr=4e-4, generator_lr=1e-4, decay=Decay(0, 4))
    rates = []
    for _ in range(4):
        trainer.advance()
        rates.append(
            (trainer.critic_optimizer.param_groups[0]["lr"], trainer.generator_optimizer.param_groups[0]["lr"])
        )
    assert np.allclose(rates, [(4e-4 * f, 1e-4 * f) for f in (1, 0.75, 0.5, 0.25)])


@given(st.integers(1, 10**6), st.integers(1, 512), st.floats(1, 1e5))
def test_the_average_forgets_half_in_a_half_life(samples: int, step: int, half_life: float) -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    average = Average(module, half_life)
    average.update(module, step, step)  # the first update copies
    nn.init.ones_(module.weight)
    average.update(module, samples, step)
    beta = 0.5 ** (step / min(half_life, samples / 20))
    assert average.module.weight.item() == pytest.approx(1 - beta, abs=1e-6)


def test_no_half_life_is_no_average_and_buffers_come_along() -> None:
    trainer = picture_trainer(ema_half_life=0)
    for _ in range(3):
        trainer.advance()
    average, module = trainer.average.module.state_dict(), trainer.generator.state_dict()
    assert all(torch.allclose(average[key], module[key]) for key in module)
    counters = [value for key, value in average.items() if key.endswith("num_batches_tracked")]
    assert counters and all(int(value) == 6 for value in counters)  # a critic and a generator pass a step


def test_instance_noise_reaches_all_that_the_critic_sees() -> None:
    trainer = tiny_trainer(instance_noise=0.5)
    samples = torch.zeros(4000, 6, dtype=torch.float64)
    noised = trainer._noised(samples, "real noise")
    assert noised.std().item() == pytest.approx(0.5, rel=0.02)
    assert not torch.equal(noised, trainer._noised(samples, "fake noise"))


def test_real_and_fake_share_a_pass_unless_batch_norm_forbids_it() -> None:
    for norm, passes in (("none", 1), ("batch", 2)):
        torch.manual_seed(0)
        critic = make_critic("dcgan", (1, 16, 16), width=4, norm=norm)
        generator = make_generator("dcgan", (1, 16, 16), Latent(4), width=4)
        trainer = Trainer(generator, critic, constraint=WeightClipping(0.01), batch=8)
        trainer.attach(blobs(size=16))
        sizes: list[int] = []
        critic.register_forward_hook(lambda m, args, out, sizes=sizes: sizes.append(len(args[0])))
        trainer.critic_step()
        assert sizes == ([16] if passes == 1 else [8, 8])


def test_the_generator_keeps_no_graph_in_critic_steps() -> None:
    trainer = tiny_trainer()
    outputs: list[Tensor] = []
    trainer.generator.register_forward_hook(lambda m, args, out: outputs.append(out))
    trainer.critic_step()
    assert [o.requires_grad for o in outputs] == [False]
    assert all(p.grad is None for p in trainer.generator.parameters())


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_every_step_has_new_samples_unless_the_generator_reuses_the_critic_s_last(steps: int, reuse: bool) -> None:
    trainer = tiny_trainer(critic_steps=steps, reuse=reuse, constraint=WeightClipping(0.01))
    made, seen = list[Tensor](), list[Tensor]()
    trainer.generator.register_forward_hook(lambda m, args, out: made.append(out.detach()))
    trainer.critic.register_forward_hook(lambda m, args, out: seen.append(args[0][-16:].detach()))
    for step in range(2):
        trainer.advance()
        assert len(made) == (step + 1) * (steps + 1 - reuse)
    assert len({tuple(samples.flatten().tolist()) for samples in made}) == len(made)
    expected = [*made[:steps], made[steps - 1] if reuse else made[steps]]
    assert all(map(torch.equal, seen[: steps + 1], expected))


def test_a_generator_step_on_reused_samples_has_the_gradient_of_the_new_critic() -> None:
    trainer = tiny_trainer(critic_steps=1, reuse=True, constraint=WeightClipping(0.01))
    twin, latents, gradients = copy.deepcopy(trainer.generator), list[Tensor](), list[Tensor]()
    trainer.generator.register_forward_hook(lambda m, args, out: latents.append(args[0]))
    for weight in trainer.generator.parameters():
        weight.register_post_accumulate_grad_hook(lambda p: gradients.append(p.grad.clone()))
    trainer.advance()
    loss = -trainer.critic(twin(latents[0])).mean()  # the critic has not moved since
    wanted = torch.autograd.grad(loss, list(twin.parameters()))
    assert len(gradients) == len(wanted)
    for gradient in wanted:
        assert any(torch.equal(gradient, found) for found in gradients)


@pytest.mark.parametrize("name", ["gp", "clip", "spectral"])
def test_bf16_agrees_with_fp32_and_keeps_scores_and_penalties_wide(name: str) -> None:
    def losses(precision: torch.dtype) -> dict[str, float | None]:
        trainer = picture_trainer(name, precision=precision)
        trainer.advance()
        assert trainer._scores(torch.zeros(8, 1, 8, 8)).dtype == torch.float32
        return trainer.ledger.means()

    wide, narrow = losses(torch.float32), losses(torch.bfloat16)
    for key, value in wide.items():
        if value is not None:
            assert narrow[key] == pytest.approx(value, rel=0.02, abs=0.01)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def weights(seed: int) -> Tensor:
        trainer = tiny_trainer(seed=seed)
        for _ in range(3):
            trainer.advance()
        return torch.cat([p.detach().flatten() for p in trainer.critic.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_torch_s_own_random_stream_is_left_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    picture_trainer_state = torch.get_rng_state()
    trainer = tiny_trainer()
    torch.set_rng_state(picture_trainer_state)
    trainer.advance()
    assert torch.equal(torch.rand(3), expected)


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
    trainer.attach(vectors())
    with pytest.raises(UsageError, match=r"shape \(5,\), but the data have \(6,\)"):
        trainer.advance()


def test_scores_of_another_shape_are_refused() -> None:
    trainer = Trainer(nn.Linear(2, 6), nn.Linear(6, 2), latent=Latent(2), constraint=WeightClipping())
    trainer.attach(vectors())
    with pytest.raises(UsageError, match=r"one number a sample"):
        trainer.advance()


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


def test_layers_that_you_froze_stay_as_they_are() -> None:
    torch.manual_seed(0)
    generator, critic = nn.Linear(2, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    critic[0].requires_grad_(False)
    before = critic[0].weight.clone()
    trainer = Trainer(generator, critic, latent=Latent(2), batch=16)
    list(trainer.fit(vectors(), steps=3))
    assert torch.equal(critic[0].weight, before)
    assert [p.requires_grad for p in critic.parameters()] == [False, False, True, True]


def test_a_weight_that_is_not_finite_is_named() -> None:
    trainer = tiny_trainer()
    with torch.no_grad():
        trainer.generator[2].bias[0] = math.nan
    with pytest.raises(DivergedError, match=r"the generator's weight 2\.bias"):
        trainer.check()


def test_adam_s_momentum_is_off_by_default() -> None:
    trainer = tiny_trainer()
    assert trainer.critic_optimizer.param_groups[0]["betas"] == (0.0, 0.9)
    assert Adam((0.5, 0.999))([nn.Parameter(torch.zeros(1))], 1e-3).param_groups[0]["betas"] == (0.5, 0.999)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("constraint", ["clip", "gp"])
def test_a_gpu_gives_what_the_processor_gives(constraint: str) -> None:
    means = []
    for where in ("cpu", "cuda"):
        trainer = picture_trainer(constraint, device=where)
        for _ in range(3):
            trainer.advance()
        assert all(p.device.type == where for p in trainer.critic.parameters())
        means.append([value for value in trainer.ledger.means().values() if value is not None])
    assert means[1] == pytest.approx(means[0], rel=1e-4)


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
    trainer, sizes = tiny_trainer(constraint=WeightClipping(0.1)), set[int]()
    trainer.critic.insert(1, nn.BatchNorm1d(16).double())
    mixing = Trainer(trainer.generator, trainer.critic, constraint=WeightClipping(0.1), latent=Latent(3), batch=16)
    mixing.attach(vectors())
    hook = mixing.critic.register_forward_pre_hook(lambda _, inputs: sizes.add(len(inputs[0])))
    with mixing.caught_up(2):
        hook.remove()
    assert sizes == {16}


def test_a_fault_inside_leaves_the_critic_where_it_was() -> None:
    trainer = tiny_trainer()
    before = copy.deepcopy(trainer.critic.state_dict())
    with pytest.raises(KeyError), trainer.caught_up(3):
        raise KeyError
    assert all(torch.equal(before[key], value) for key, value in trainer.critic.state_dict().items())
    assert trainer.critic_updates == 0


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


def test_the_bound_is_that_of_a_critic_of_known_slope() -> None:
    trainer = tiny_trainer(constraint=Orthogonal(4.0), catch_up=0)
    record = trainer.record()
    expected = (record["wasserstein_heldout"] - 3.09 * record["wasserstein_stderr"]) / 4.0
    assert record["wasserstein_bound"] == pytest.approx(expected, rel=1e-4)
    assert tiny_trainer(constraint=GradientPenalty()).record()["wasserstein_bound"] is None
