"""Optimizers that go without torch.compile are those of PyTorch."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from wgan.optimizers import Adam, eager


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-1, 1, 6).view(2, 3)), nn.Parameter(torch.ones(2))]


def step(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], number: int) -> None:
    optimizer.zero_grad()
    sum((weight * (number + 1)).sin().square().sum() for weight in parameters).backward()  # type: ignore[union-attr]
    optimizer.step()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.Adam, {"betas": (0.0, 0.9), "fused": True}),
        (torch.optim.RMSprop, {}),
        (torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_steps_and_states_are_those_of_pytorch(kind: type[torch.optim.Optimizer], options: dict[str, Any]) -> None:
    ours, theirs = weights(), weights()
    made, known = eager(kind)(ours, lr=0.1, **options), kind(theirs, lr=0.1, **options)
    for number in range(4):
        if number == 2:
            state, made = made.state_dict(), eager(kind)(ours, lr=0.3, **options)
            made.load_state_dict(state)
        step(made, ours, number)
        step(known, theirs, number)
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine, other)
    assert isinstance(made, kind) and type(made).__name__ == kind.__name__
    assert not any(weight.requires_grad and weight.grad_fn for weight in ours)


def test_the_first_factor_takes_momentum_out() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = Adam()([parameter], 0.1)
    for gradient in ([1.0, 1.0, 1.0], [1.0, -1.0, 0.0]):
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    assert parameter.detach() == pytest.approx([-0.2, 0.0, -0.1], abs=1e-6)  # the gradient's sign, and none of before


SCRIPT = """
import sys, torch, wgan, wgan.loop
from wgan.config import OptimizerConfig
from wgan.build import _optimizer
from wgan.constraints import LipschitzPenalty, Orthogonal
from wgan.measure.muon import Muon
from wgan.networks import make_critic, make_generator
for constraint in (LipschitzPenalty(), Orthogonal()):
    for name in ("adam", "rmsprop"):
        networks = make_generator("mlp", (2,), 4, width=8), make_critic("mlp", (2,), width=8)
        trainer = wgan.Trainer(*networks, batch=8, constraint=constraint, optimizer=_optimizer(OptimizerConfig(name)))
        assert len(list(trainer.fit(torch.randn(40, 2), steps=1))) == 1
weight = torch.nn.Parameter(torch.eye(2))
weight.grad = torch.eye(2)
Muon([weight], lr=0.1, momentum=0.9).step()
print(*sys.modules.keys() & {"torch._dynamo", "matplotlib"})
"""


def test_neither_a_compiler_nor_matplotlib_is_imported_to_train(tmp_path: Any) -> None:
    child = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert child.stdout.strip() == ""
