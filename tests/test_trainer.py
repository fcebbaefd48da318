"""The two steps: against a loop written out by hand, for every constraint and objective, in both precisions."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import blobs, picture_trainer, tiny_trainer, vectors
from wgan.constraints import (
    R1,
    R2,
    Constraint,
    GradientPenalty,
    SpectralNorm,
    Sum,
    WeightClipping,
    with_penalties,
)
from wgan.data import open_data
from wgan.data.samples import Samples
from wgan.errors import UsageError
from wgan.networks import Latent, make_critic, make_generator
from wgan.objectives import Wasserstein
from wgan.optimizers import Adam
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
            between = (real + where.view(-1, 1) * (fake - real)).requires_grad_()
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
    trainer = tiny_trainer(constraint=WeightClipping(c), optimizer=torch.optim.RMSprop, critic_lr=0.5)
    trainer.advance()
    assert max(w.abs().max().item() for w in trainer.critic.parameters()) == c


def test_a_lazy_penalty_is_added_at_every_kth_step_k_times_as_strong() -> None:
    loss, penalty = torch.tensor(1.0), torch.tensor(0.5, requires_grad=True)
    for taken in range(7):
        total, logged = with_penalties(loss, R1(2.0, every=3), taken, lambda *_: penalty)
        assert total.item() == (1 + 3 * 2 * 0.5 if taken % 3 == 0 else 1)
        assert (logged is None) == (taken % 3 != 0)


def test_a_sum_adds_each_part_with_its_own_weight_and_interval() -> None:
    r1, r2 = torch.tensor([0.5, 0.25], requires_grad=True)
    constraint = Sum(R1(2.0), R2(5.0, every=2))
    total, logged = with_penalties(torch.tensor(1.0), constraint, 0, lambda number, _: (r1, r2)[number])
    assert total.item() == 1 + 2 * 0.5 + 2 * 5 * 0.25
    later, logged_later = with_penalties(torch.tensor(1.0), constraint, 1, lambda number, _: (r1, r2)[number])
    assert later.item() == 2
    assert logged is not None and logged_later is not None
    assert (logged + logged_later).item() / 2 == 2 * 0.5 + 5 * 0.25


@pytest.mark.parametrize("intervals", [(4, 4), (1, 4), (4, 6), (3, 5)])
def test_the_mean_of_what_is_logged_is_all_penalties_whatever_their_intervals(intervals: tuple[int, int]) -> None:
    constraint = Sum(R1(2.0, every=intervals[0]), R2(5.0, every=intervals[1]))
    logged = [
        with_penalties(torch.tensor(1.0), constraint, t, lambda *_: torch.tensor(0.5, requires_grad=True))[1]
        for t in range(60)
    ]
    assert np.mean([each.item() for each in logged if each is not None]) == pytest.approx(2 * 0.5 + 5 * 0.5)


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


class Looking(Constraint):
    """Punishes nothing, and keeps what it was given to look at."""

    label = "looking"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def penalty(self, critic: nn.Module, real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
        self.seen.append(torch.cat([real, fake]).detach())
        return torch.zeros((), dtype=real.dtype, requires_grad=True)


@pytest.mark.parametrize("deviation", [0.0, 0.5])
def test_instance_noise_reaches_all_that_the_critic_sees(deviation: float) -> None:
    looking, made, shown = Looking(), list[Tensor](), list[Tensor]()
    trainer = tiny_trainer(instance_noise=deviation, constraint=looking, batch=2000, critic_steps=2)
    trainer.generator.register_forward_hook(lambda m, args, out: made.append(out.detach()))
    trainer.critic.register_forward_hook(lambda m, args, out: shown.append(args[0].detach()))
    trainer.advance()
    first, second, last = made
    real = [trainer.batches[k].double() for k in range(2)]
    clean = [torch.cat([real[0], first]), torch.cat([real[1], second]), last]
    noise = torch.cat([seen - without for seen, without in zip(shown, clean, strict=True)]).view(5, -1).numpy()
    assert noise.std(1) == pytest.approx(deviation, rel=0.03)  # of two real batches, of two fake ones, and of the last
    assert np.abs(noise.mean(1)).max() <= 0.04 * deviation
    assert all(map(torch.equal, looking.seen, shown[:2]))
    if deviation:
        assert np.abs(np.corrcoef(noise) - np.eye(5)).max() < 0.05


class Noted(Samples):
    """Samples that are all one number, and remember which of them were asked for."""

    def __init__(self, size: int, number: float) -> None:
        self.shape, self.size, self.labels, self.number = (6,), size, None, number
        self.asked: list[Tensor] = []

    def batch(self, index: Tensor) -> Tensor:
        self.asked.append(index.clone())
        return torch.full((len(index), 6), self.number)


def two_parts(**changes: float) -> tuple[Trainer, Noted, Noted]:
    """A trainer, 100 samples of -1 to train it, and 50 of 3 that are held out."""
    trainer, train, held_out = tiny_trainer(critic_steps=2, **changes), Noted(100, -1.0), Noted(50, 3.0)
    trainer.attach(replace(open_data(vectors()), train=train, held_out=held_out))
    train.asked.clear()
    held_out.asked.clear()
    return trainer, train, held_out


def test_training_reads_the_training_part_alone_and_all_of_it_before_any_sample_again() -> None:
    trainer, train, held_out = two_parts()
    for _ in range(6):
        trainer.advance()
    assert held_out.asked == [] and [len(index) for index in train.asked] == [16] * 12
    for epoch in range(2):  # of 6 whole batches
        index = torch.cat(train.asked[6 * epoch : 6 * epoch + 6])
        assert len(index.unique()) == 96 and int(index.min()) >= 0 and int(index.max()) < 100
    assert not torch.equal(torch.cat(train.asked[:6]), torch.cat(train.asked[6:]))


def test_the_critic_is_never_trained_on_what_is_held_out_not_even_for_a_record() -> None:
    trainer, train, held_out = two_parts(catch_up=3)
    shown: list[Tensor] = []
    trainer.critic.register_forward_hook(lambda m, args, out: shown.append(args[0].detach()) if m.training else None)
    data = replace(open_data(vectors()), train=train, held_out=held_out)
    assert [record["step"] for record in trainer.fit(data, steps=4, tick=2)] == [2, 4]
    batches = torch.cat([samples for samples in shown if len(samples) >= 16])  # not the few that are tried at first
    shows = [int((batches == number).all(1).sum()) for number in (-1, 3)]
    assert shows == [16 * (4 * 2 + 2 * 3), 0]  # with what caught up for two records
    assert held_out.asked  # for the records


@pytest.mark.parametrize("catch_up", [0, 3])
def test_the_held_out_estimate_is_of_the_held_out_part_alone(catch_up: int) -> None:
    trainer, train, held_out = two_parts(catch_up=catch_up)
    trainer.advance()
    with trainer.caught_up(), torch.no_grad():
        low, high = (trainer.critic(torch.full((1, 6), number).double()).item() for number in (-1.0, 3.0))
    train.asked.clear()
    record = trainer.record()
    assert record["wasserstein_heldout"] - record["wasserstein"] == pytest.approx(high - low, rel=1e-9)
    assert abs(high - low) > 0.01
    for part, whole in ((train, 96), (held_out, 48)):
        seen = torch.cat(part.asked).unique()
        assert len(seen) >= whole and int(seen.max()) < (part.size or 0)


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
        assert trainer._passes.scores(trainer.critic, torch.zeros(8, 1, 8, 8)).dtype == torch.float32
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


@pytest.mark.parametrize("use", [Trainer.advance, Trainer.record, Trainer.critic_step])
def test_training_on_nothing_is_refused(use: Callable[[Trainer], object]) -> None:
    with pytest.raises(UsageError, match="attach"):
        use(Trainer(nn.Linear(3, 2), nn.Linear(2, 1), latent=Latent(3)))


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
        assert trainer.record()["gradient_norm"] > 0
        assert trainer.sample(3).device.type == "cpu"
    assert means[1] == pytest.approx(means[0], rel=1e-4)


def test_only_what_is_on_the_processor_is_pinned_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned, trainer = list[str](), tiny_trainer()
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor.device.type) or tensor)
    monkeypatch.setattr(Tensor, "to", lambda tensor, *_, **__: torch.empty_like(tensor, device="meta"))
    trainer._passes.device = torch.device(
        "cuda"
    )  # what goes there ends up on the meta device, as far away from the processor
    assert trainer._meter.fake(nn.Identity(), 0, 0).is_meta
    assert pinned == ["cpu"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch", 0),
        ("batch", 2.5),
        ("seed", -1),
        ("seed", 2**63),
        ("critic_steps", 1.5),
        ("catch_up", -3),
        ("ema_half_life", -5.0),
        ("ema_half_life", float("nan")),
        ("instance_noise", -0.1),
        ("critic_lr", "1e-4"),
        ("precision", torch.float16),
        ("constraint", "lp"),
        ("constraint", R1),
        ("objective", Wasserstein),
        ("decay", 0.5),
        ("warmup", 3),
        ("warmup", None),
        ("warmup", (1, 2, 3)),
        ("optimizer", Adam),
        ("optimizer", "adam"),
        ("device", "gpu"),
        ("device", None),
    ],
)
def test_an_argument_that_cannot_be_meant_is_named_and_nothing_is_changed(name: str, value: object) -> None:
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    generator = make_generator("mlp", (2,), Latent(2), width=4)
    given = {"constraint": SpectralNorm(), name: value}
    with pytest.raises(UsageError, match=f"^{name}(:| is) "):
        Trainer(generator, critic, **given)  # type: ignore[arg-type]
    assert type(critic[0]) is nn.Linear


@pytest.mark.parametrize("name", ["generator", "critic"])
def test_a_network_that_is_none_is_named(name: str) -> None:
    given = {"generator": nn.Linear(2, 2), "critic": nn.Linear(2, 1), name: None}
    with pytest.raises(UsageError, match=rf"^{name} is None; give an object such as nn\.Sequential"):
        Trainer(**given, latent=Latent(2))  # type: ignore[arg-type]


def test_a_latent_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match=r"^the latent is 'a'; give Trainer\(\.\.\., latent=Latent\(size\)\)\.$"):
        Trainer(nn.Linear(3, 6), nn.Linear(6, 1), latent="a")  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [{"steps": 7.5}, {"steps": 0}, {"steps": 3, "tick": 0}])
def test_fit_takes_whole_numbers_of_steps(numbers: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"^(steps|tick): .* is (not a whole number|too small; at least 1 is allowed)"):
        tiny_trainer().fit(vectors(), **numbers)


def test_fit_says_so_if_nobody_iterates_it(recwarn: pytest.WarningsRecorder) -> None:
    trainer = tiny_trainer()
    fitting = trainer.fit(vectors(), steps=2)
    assert repr(fitting) == (
        "<Trainer.fit at step 0 of 2: it trains while it is iterated: write `for record in trainer.fit(...)`, or "
        "`list(trainer.fit(...))`.>"
    )
    del fitting
    assert trainer.step == 0
    assert "nothing was trained" in str(recwarn.pop(RuntimeWarning).message)
    fitting = trainer.fit(vectors(), steps=2, tick=1)
    assert next(fitting)["step"] == 1  # lazily: whoever breaks off here goes on from here
    del fitting
    assert trainer.step == 1
    assert [record["step"] for record in trainer.fit(vectors(), steps=2)] == [2]
    assert not recwarn.list


def test_a_learning_rate_of_the_users_own_is_kept() -> None:
    trainer = tiny_trainer()
    before = copy.deepcopy(trainer.generator.state_dict())
    trainer.generator_optimizer.param_groups[0]["lr"] = 0.0
    trainer.advance()
    assert all(torch.equal(weight, before[name]) for name, weight in trainer.generator.state_dict().items())


def test_a_gradient_that_was_there_before_changes_no_step() -> None:
    trainer, other = tiny_trainer(), tiny_trainer()
    for network in (other.generator, other.critic):
        for weight in network.parameters():
            weight.grad = torch.full_like(weight, 100.0)
    trainer.advance(), other.advance()
    for one, two in ((trainer.critic, other.critic), (trainer.generator, other.generator)):
        assert all(map(torch.equal, one.parameters(), two.parameters()))


def test_networks_that_were_made_where_nothing_can_learn_are_refused() -> None:
    with torch.inference_mode():
        critic = nn.Linear(6, 1)
    with pytest.raises(UsageError, match=r"the critic was made under torch.inference_mode\(\) and cannot learn"):
        Trainer(nn.Linear(3, 6), critic, latent=3)


def test_weights_narrower_than_float32_are_refused() -> None:
    generator = make_generator("mlp", (2,), Latent(2), width=4).to(torch.bfloat16)
    with pytest.raises(UsageError, match=r"neither float32 nor float64.*precision=torch\.bfloat16"):
        Trainer(generator, make_critic("mlp", (2,), width=4))


def test_a_generator_that_does_not_take_the_noise_is_told_so() -> None:
    trainer = Trainer(nn.Linear(5, 6), nn.Linear(6, 1), latent=Latent(4))
    with pytest.raises(UsageError, match=r"the generator fails on noise \(N, 4\): .*x4 and 5x6"):
        trainer.attach(vectors())


def test_a_record_counts_epochs_and_tells_both_rates() -> None:
    trainer = tiny_trainer(critic_lr=4e-4, generator_lr=1e-4, critic_steps=3)
    for _ in range(4):
        trainer.advance()
    record = trainer.record()
    assert record["epoch"] == pytest.approx(4 * 3 * 16 / trainer.batches.samples.size)
    assert (record["generator_lr"], record["critic_lr"]) == (1e-4, 4e-4)


def test_means_are_those_since_the_last_record() -> None:
    trainer = tiny_trainer(constraint=GradientPenalty())
    trainer.advance()
    trainer.record()
    again = tiny_trainer(constraint=GradientPenalty())
    again.advance()
    again.ledger.reset()
    for one in (trainer, again):
        one.advance()
        one.advance()
    found = trainer.record()["generator_loss"]
    assert found is not None and found == again.ledger.means()["generator_loss"]


def test_a_generator_of_plain_layers_trains_in_bfloat16() -> None:
    trainer = Trainer(nn.Linear(3, 6), nn.Linear(6, 1), latent=Latent(3), batch=16, precision=torch.bfloat16)
    trainer.attach(vectors())
    assert next(trainer._fakes(trainer.generator)).dtype == torch.float32
    trainer.advance()
