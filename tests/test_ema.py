"""The generator's average."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from toolbox import Keeping, picture_trainer, tiny_trainer
from wgan.trainer.ema import Average


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


def test_the_average_of_a_module_that_was_used_before_has_its_weights_alone() -> None:
    module, x = Keeping(nn.Linear(2, 3)), torch.randn(5, 2)
    made = module(x)
    average = Average(module, 0).module
    assert torch.equal(average(x), made) and module.last is made
    assert not average.last.requires_grad


def test_what_is_no_running_statistic_is_copied_and_not_averaged() -> None:
    """A mean of the unit vectors of spectral norm would be shorter, and the layer larger than it may be."""
    torch.manual_seed(0)
    module = nn.Sequential(spectral_norm(nn.Linear(6, 5)), nn.BatchNorm1d(5))
    average = Average(module, 1000)
    expected = {"running_mean": np.zeros(5), "running_var": np.ones(5)}
    for number in range(40):
        module(torch.randn(8, 6))
        with torch.no_grad():
            module[0].parametrizations.weight.original.add_(torch.randn(5, 6))
        average.update(module, 1000 + 10 * number, 10)
        beta = 2 ** (-10 / min(1000, (1000 + 10 * number) / 20))
        for name, mean in expected.items():
            expected[name] = beta * mean + (1 - beta) * module[1].get_buffer(name).double().numpy()
    of_average, own = dict(average.module.named_buffers()), dict(module.named_buffers())
    for name in ("0.parametrizations.weight.0._u", "0.parametrizations.weight.0._v"):
        assert torch.equal(of_average[name], own[name])
    for name, mean in expected.items():
        assert of_average[f"1.{name}"].numpy() == pytest.approx(mean, rel=1e-5)
        assert not np.allclose(own[f"1.{name}"], mean, rtol=1e-2)


def test_the_average_of_a_training_forgets_by_all_samples_of_a_step() -> None:
    trainer = tiny_trainer(critic_steps=3, warmup=(1, 5), ema_half_life=6, generator_lr=0.05)
    mean = [weight.detach().numpy().copy() for weight in trainer.generator.parameters()]
    for shown, samples in [(5 * 16, 5 * 16), (3 * 16, 8 * 16), (3 * 16, 11 * 16), (3 * 16, 14 * 16)]:
        trainer.advance()
        beta = 2 ** (-shown / min(6, samples / 20))  # 4 at first, and then 6
        pairs = zip(mean, trainer.generator.parameters(), strict=True)
        mean = [beta * old + (1 - beta) * new.detach().numpy() for old, new in pairs]
    for average, expected in zip(trainer.average.module.parameters(), mean, strict=True):
        assert average.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-14)
