"""Each fault of the five reference systems, by name: a test that fails if it were here."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from test_presets import built
from toolbox import blobs, tiny_trainer
from wgan import pictures
from wgan.constraints import GradientPenalty
from wgan.networks.layers import NORM_LAYERS
from wgan.objectives import Wasserstein
from wgan.slopes import gradient_norms


def critic_batches(name: str) -> list[Tensor]:
    """The real batches that one generator step shows to the critic."""
    trainer, _, _ = built(name)
    seen: list[Tensor] = []
    original = trainer._passes.noised

    def spy(samples: Tensor, stream: str, index: int) -> Tensor:
        if stream == "real noise":
            seen.append(samples.clone())
        return original(samples, stream, index)

    trainer._passes.noised = spy  # type: ignore[method-assign]
    trainer.batch = trainer.batches.batch = 4
    trainer.advance()
    return seen


def test_dcgan_clip_the_clipped_value_is_not_thrown_away() -> None:
    trainer, _, _ = built("dcgan-clip")
    assert max(w.abs().max().item() for w in trainer.critic.parameters()) > 0.01
    trainer.critic_step()
    assert max(w.abs().max().item() for w in trainer.critic.parameters()) <= np.float32(0.01)


def test_dcgan_clip_data_have_the_range_of_tanh() -> None:
    _, _, data = built("dcgan-clip")
    batch = data.train.batch(torch.arange(30))
    assert batch.min().item() == -1 and 0.8 < batch.max().item() <= 1


def test_dcgan_clip_the_loss_is_no_cross_entropy_and_the_critic_ends_without_a_sigmoid() -> None:
    trainer, _, _ = built("dcgan-clip")
    assert isinstance(trainer.objective, Wasserstein)
    assert not any(isinstance(module, nn.Sigmoid) for module in trainer.critic.modules())
    with torch.no_grad():
        list(trainer.critic.parameters())[-1].fill_(50.0)
        assert trainer.critic(torch.zeros(2, 1, 28, 28)).min() > 1


def test_conv_gp_the_penalty_squares_before_it_averages() -> None:
    def critic(x: Tensor) -> Tensor:  # gradient norm |x|
        return x.square().sum(1) / 2

    x = torch.tensor([[0.0], [2.0]])  # mean norm 1: averaged first, the penalty would be 0
    penalty = GradientPenalty().penalty(critic, x, x, torch.rand(2))  # type: ignore[arg-type]
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)


def test_conv_gp_the_norm_is_over_all_channels_too() -> None:
    a = torch.full((3, 4, 5), 0.5)
    norms = gradient_norms(lambda x: (x * a).flatten(1).sum(1), torch.zeros(2, 3, 4, 5))
    assert norms.tolist() == pytest.approx([(60 * 0.25) ** 0.5] * 2)


def test_conv_gp_the_grid_takes_any_number_of_pictures(tmp_path: Path) -> None:
    for n in (1, 2, 7, 50):
        pictures.save_grid(tmp_path / "g.png", blobs(n))
        with Image.open(tmp_path / "g.png") as grid:
            assert min(grid.size) >= 56


@pytest.mark.parametrize("name", ["dcgan64-clip", "dcgan64-gp"])
def test_dcgan64_every_critic_step_sees_a_fresh_batch(name: str) -> None:
    seen = critic_batches(name)
    assert len(seen) == 5
    assert all(not torch.equal(one, other) for i, one in enumerate(seen) for other in seen[:i])


def test_dcgan64_the_generator_s_step_makes_a_graph_of_its_own() -> None:
    trainer = tiny_trainer(critic_steps=2)
    latents: list[Tensor] = []
    trainer.generator.register_forward_pre_hook(lambda module, args: latents.append(args[0].clone()))
    trainer.advance()
    assert len(latents) == 3 and not torch.equal(latents[1], latents[2])


def test_dcgan64_batch_norm_gains_start_near_1() -> None:
    trainer, _, _ = built("dcgan64-gp")
    gains = [module.weight for module in trainer.generator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(gains) == 4 and all(abs(gain.mean().item() - 1) < 0.02 for gain in gains)


def test_dcgan64_clipping_leaves_the_gains_of_norm_layers_alone() -> None:
    trainer, _, _ = built("dcgan64-clip")
    trainer.batch = trainer.batches.batch = 4
    trainer.critic_step()
    norms = [module for module in trainer.critic.modules() if isinstance(module, NORM_LAYERS)]
    assert len(norms) == 3 and all((norm.weight > 0.9).all() for norm in norms)
    assert max(m.weight.abs().max().item() for m in trainer.critic.modules() if isinstance(m, nn.Conv2d)) <= 0.0100001


def test_mlp_clip_the_critic_s_gradients_start_from_zero_at_each_step() -> None:
    trainer = tiny_trainer(critic_steps=1)
    gradients: list[Tensor] = []
    step = trainer.critic_optimizer.step

    def spy() -> None:
        gradients.append(trainer.critic[0].weight.grad.clone())
        step()

    trainer.critic_optimizer.step = spy  # type: ignore[method-assign]
    trainer.critic_step()
    other = tiny_trainer(critic_steps=1)
    other.critic.load_state_dict(trainer.critic.state_dict())
    other.critic_updates = trainer.critic_updates
    trainer.critic_step()
    fresh: list[Tensor] = []
    other.critic_optimizer.step = lambda: fresh.append(other.critic[0].weight.grad.clone())  # type: ignore[method-assign]
    other.critic_step()
    assert torch.equal(gradients[1], fresh[0])


def test_mlp_clip_pictures_keep_the_whole_range() -> None:
    _, _, data = built("mlp-clip")
    extremes = data.units.to_user(torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1))
    assert extremes.flatten().tolist() == [0, 128, 255]
