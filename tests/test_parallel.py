"""Several processes take the steps of one.

Run as a program, this file is one of the two processes that a test starts.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from toolbox import blobs, plain, small_config, tiny_trainer, two, vectors
from wgan import loop
from wgan.config import DataConfig
from wgan.constraints import R1, R2, Sum, WeightClipping
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.errors import UsageError
from wgan.loop.resuming import hash_of
from wgan.networks import Latent, make_critic, make_generator
from wgan.parallel import ALONE, GradientAllReduce, Group, joined
from wgan.registry import CONSTRAINTS, OBJECTIVES
from wgan.trainer import Trainer
from wgan.trainer.meter import Meter
from wgan.trainer.state import prefixed, snapshot
from wgan.view import View

STEPS = 5


def pictures(group: Group, norm: str = "none", critic_norm: str = "none", **changes: Any) -> Trainer:
    """A float64 trainer of convolutions on pictures that are mirrored."""
    torch.manual_seed(0)
    generator = make_generator("dcgan", (1, 8, 8), Latent(8), width=4, norm=norm).double()
    critic = make_critic("dcgan", (1, 8, 8), width=4, depth=2, norm=critic_norm).double()
    trainer = Trainer(generator, critic, batch=16, flip=True, critic_steps=2, seed=3, group=group, **changes)
    trainer.attach(blobs())
    return trainer


class WithSpare(nn.Module):
    """A critic with a weight that no score depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.spare = nn.Linear(6, 1).double(), nn.Linear(2, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.body(x)
        return scores


def with_spare(group: Group) -> Trainer:
    torch.manual_seed(0)
    generator = nn.Linear(3, 6).double()
    trainer = Trainer(generator, WithSpare(), latent=Latent(3), batch=16, critic_steps=2, group=group)
    trainer.attach(vectors())
    return trainer


CASES: Mapping[str, Any] = {
    **{name: lambda group, name=name: tiny_trainer(constraint=CONSTRAINTS[name].load()(), group=group)
       for name in CONSTRAINTS},
    **{f"objective {name}": lambda group, name=name: tiny_trainer(objective=OBJECTIVES[name].load()(), group=group)
       for name in OBJECTIVES},
    "lazy sum": lambda group: tiny_trainer(constraint=Sum(R1(2.0), R2(5.0, every=2)), group=group),
    "reused samples": lambda group: tiny_trainer(reuse=True, group=group),
    "instance noise": lambda group: tiny_trainer(instance_noise=0.3, group=group),
    "mirrored pictures": lambda group: pictures(group, instance_noise=0.1),
    "an unused weight": with_spare,
}  # fmt: skip
BATCH_NORM, CRITIC_BATCH_NORM = "batch norm", "batch norm in the critic"
MIXED: Mapping[str, Any] = {
    BATCH_NORM: lambda group: pictures(group, norm="batch"),
    CRITIC_BATCH_NORM: lambda group: pictures(group, critic_norm="batch", constraint=WeightClipping(1.0), catch_up=0),
}


def result(group: Group, case: str) -> dict[str, Tensor]:
    """All of a trainer's state after five steps, its last record's numbers, and its statistics after the first step."""
    trainer = {**CASES, **MIXED}[case](group)
    trainer.advance()
    networks = {"early": trainer.generator, "early critic": trainer.critic}
    early = {f"{key}.{name}": buffer.clone() for key, of in networks.items() for name, buffer in of.named_buffers()}
    for _ in range(STEPS - 1):
        trainer.advance()
    numbers = {k: v for k, v in trainer.record(reset=False).items() if v is not None and "second" not in k}
    told = {f"record.{name}": torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
    return {**early, **told, **snapshot(trainer)[0]}


class WithFlag(nn.Linear):
    """A layer with buffers of other kinds than its weights."""

    def __init__(self) -> None:
        super().__init__(3, 6)
        self.register_buffer("flag", torch.rand(5) < 0.5)
        self.register_buffer("count", torch.randint(100, ()))


def unseeded(group: Group) -> dict[str, Tensor]:
    """A trainer of networks whose first weights nobody seeded, before and after two steps, and its dropout's mask."""
    torch.manual_seed(group.rank)  # or two processes could draw the same
    generator = nn.Sequential(WithFlag(), nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(4, 6))
    dropout = nn.Dropout(0.5)
    critic = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), dropout, nn.Linear(8, 1))
    trainer = Trainer(generator, critic, latent=Latent(3), batch=16, critic_steps=2, group=group)
    told = {name: value.clone() for name, value in prefixed("first", snapshot(trainer)[0]).items()}
    trainer.attach(vectors())
    masks: list[Tensor] = []
    ones = torch.ones(100)
    dropout.register_forward_hook(lambda module, _, out: masks.append(nn.functional.dropout(ones).detach()))
    trainer.advance()
    trainer.advance()
    return {**told, **prefixed("last", snapshot(trainer)[0]), "mask": masks[0]}


def unlike(group: Group) -> None:
    """What must be the same in both processes and is not, is refused in both."""
    other, same = vectors() + group.rank, vectors()
    for seed, data, named in ((group.rank, same, "seed"), (0, other, "data"), (group.rank, other, "seed and data")):
        networks = nn.Linear(3, 6), nn.Linear(6, 1)
        trainer = Trainer(*networks, latent=Latent(3), constraint=WeightClipping(), batch=16, seed=seed, group=group)
        with pytest.raises(UsageError, match=f"processes of this run were given different {named}; give the same"):
            trainer.attach(data)


def as_one_of_two(folder: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    with joined("cpu") as group:
        told: dict[str, Tensor] = {}
        for case in (*CASES, *MIXED):
            told |= prefixed(case, {k: v.contiguous() for k, v in result(group, case).items()})
        unlike(group)
        told |= prefixed("unseeded", {k: v.clone().contiguous() for k, v in unseeded(group).items()})
        save_file(told, folder / f"{group.rank}.safetensors")


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("two")
    for child in two([__file__, str(folder)]):
        _, err = child.communicate(timeout=300)
        assert child.returncode == 0, err
    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


def part(tensors: Mapping[str, Tensor], case: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{case}."): value for name, value in tensors.items() if name.startswith(f"{case}.")}


def relative(one: Tensor, other: Tensor) -> float:
    """The distance of two tensors, as a share of their size."""
    return float((one - other).double().norm() / max(float(other.double().norm()), 1e-12))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_take_the_steps_of_one(case: str, of_two: list[dict[str, Tensor]]) -> None:
    alone = result(ALONE, case)
    for told in of_two:
        found = part(told, case)
        assert found.keys() >= alone.keys()  # a weight that is not used has an optimizer's state of zeros
        apart = {name: relative(found[name], alone[name]) for name in alone}
        assert {name: value for name, value in apart.items() if value > 1e-10} == {}


@pytest.mark.parametrize("case", [*CASES, *MIXED])
def test_both_processes_end_with_the_same_bits(case: str, of_two: list[dict[str, Tensor]]) -> None:
    first, second = (part(told, case) for told in of_two)
    assert first and [name for name in first if not torch.equal(first[name], second[name])] == []


def test_batch_norm_sees_a_part_of_the_batch_and_differs_by_that(of_two: list[dict[str, Tensor]]) -> None:
    alone, found = result(ALONE, BATCH_NORM), part(of_two[0], BATCH_NORM)
    start = pictures(ALONE, norm="batch")
    begun = prefixed("generator", start.generator.state_dict()) | prefixed("critic", start.critic.state_dict())
    weights = [name for name in begun if "running" not in name and "batches" not in name]
    first, one, two_ = (torch.cat([of[name].flatten() for name in weights]) for of in (begun, alone, found))
    assert 1e-5 < relative(two_, one) < 1e-3
    assert (two_ - one).norm() < (one - first).norm() / 3
    # The mean of the parts' means is the mean of the whole; the mean of their variances is not its variance.
    means, variances = "early.body.0.1.norm.running_mean", "early.body.0.1.norm.running_var"
    assert relative(found[means], alone[means]) < 1e-10
    assert 1e-6 < relative(found[variances], alone[variances]) < 0.01


def test_the_critic_s_running_statistics_are_the_mean_over_the_parts(of_two: list[dict[str, Tensor]]) -> None:
    alone, found = result(ALONE, CRITIC_BATCH_NORM), part(of_two[0], CRITIC_BATCH_NORM)
    names = [name for name in alone if name.startswith("early critic.") and "running" in name]
    assert len(names) == 2
    for name in names:  # the parts' weights went apart by their variances
        assert 0 < relative(found[name], alone[name]) < 2e-3


def test_the_parts_of_a_batch_are_the_batch() -> None:
    rows = plain(vectors(50))
    for flip, samples in ((False, rows), (True, open_data(blobs(), DataConfig()).train)):
        whole = Batches(samples, 12, 1, flip)
        parts = [Batches(samples, 12, 1, flip, Group(rank, 3)) for rank in range(3)]
        for k in range(9):
            assert torch.equal(whole[k], torch.cat([each[k] for each in parts]))


def test_first_weights_without_a_seed_are_those_of_the_first_process(of_two: list[dict[str, Tensor]]) -> None:
    first, second = (part(told, "unseeded") for told in of_two)
    alone = unseeded(ALONE)
    for name, expected in alone.items():
        if name.startswith("first."):
            assert torch.equal(first[name], expected) and torch.equal(second[name], expected)
    assert {name for name in first if not torch.equal(first[name], second[name])} == {"mask"}


def test_dropout_differs_from_process_to_process(of_two: list[dict[str, Tensor]]) -> None:
    masks = [told["unseeded.mask"] for told in of_two]
    assert 20 < int((masks[0] != masks[1]).sum()) < 80  # of 100, half of which are 0 in each


def test_batches_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(UsageError, match="16 samples cannot be divided among 3 processes; use 15, or --processes 2"):
        tiny_trainer(group=Group(0, 3))
    with pytest.raises(UsageError, match="at least 2 samples in a batch of each process"):
        Trainer(
            nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6)), nn.Linear(6, 1), latent=Latent(3), batch=2,
            group=Group(0, 2),
        )  # fmt: skip


def test_a_dry_run_shows_the_processes_and_starts_none(tmp_path: Path) -> None:
    class Facts(View):
        def facts(self, facts: Any) -> None:
            told.append(facts["training"]["device"])

    told: list[str] = []
    loop.preview(small_config(processes=2), source=blobs(), out=tmp_path / "r", view=Facts())
    assert "1 thread in each of 2 processes" in told[0] and not (tmp_path / "r").exists()


def test_python_starts_no_processes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"processes=2.*wgan train --processes 2.*torchrun"):
        loop.train(small_config(processes=2), source=blobs(), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_all_processes_must_have_the_options_that_training_hangs_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[dict[str, int]]()
    monkeypatch.setattr(Group, "check_alike", lambda group, **numbers: told.append(numbers))
    loop.train(small_config(steps=1), source=blobs(), out=tmp_path / "r")
    number = hash_of(small_config())
    assert told[0] == {"options": number} and set(told[1]) == {"seed", "batch", "data"}
    assert number == hash_of(small_config(threads=1, data="elsewhere"))
    assert number != hash_of(small_config(critic_steps=3))


def test_processes_that_talk_already_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    with pytest.raises(UsageError, match="is in use already; call wgan before init_process_group"), joined("cpu"):
        pass


def test_a_process_that_is_alone_exchanges_nothing() -> None:
    weight, value = nn.Parameter(torch.ones(2)), torch.tensor(3.0)
    assert GradientAllReduce(ALONE, [weight])(value) == (value,) and weight.grad is None
    with joined() as group:
        assert group is ALONE and group.all_max(1, 0) == [1, 0] and group.first_says(True)


def test_measuring_a_critic_with_batch_norm_does_not_depend_on_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer, data = pictures(ALONE), open_data(blobs(200), DataConfig(held_out=0.5))
    critic = make_critic("dcgan", (1, 8, 8), width=4, depth=2, norm="batch").double()
    gathered: dict[int, list[Tensor]] = {0: [], 1: [], 2: []}
    for rank, size in ((0, 1), (0, 2), (1, 2)):
        own = gathered[rank + size - 1]
        monkeypatch.setattr(torch, "distributed", mock.Mock(all_reduce=own.append))
        meter = Meter(data, trainer.latent, 16, 0, trainer.to_device, group=Group(rank, size))
        told = meter(trainer.generator, critic, 0)
        if size == 1:
            alone = told
    assert not gathered[0]
    scores, norms = (one + other for one, other in zip(gathered[1], gathered[2], strict=True))
    pairs = [part.chunk(2) for part in norms.split(32)]
    assert len(pairs) == 6
    assert float(torch.cat([a for a, _ in pairs]).mean()) == pytest.approx(alone.gradient_norm, rel=1e-12)
    assert float(torch.cat([b for _, b in pairs]).mean()) == pytest.approx(alone.gradient_norm_fake, rel=1e-12)
    train, held_out, fake = scores.split([96, 96, 96])
    assert float(train.mean() - fake.mean()) == pytest.approx(alone.wasserstein, rel=1e-9)
    assert float(held_out.mean() - fake.mean()) == pytest.approx(alone.wasserstein_heldout, rel=1e-9)


def test_the_table_of_what_is_sent_is_the_script_s(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import communication  # not above: the processes of this file are started elsewhere

    monkeypatch.setattr(sys, "argv", ["communication.py"])
    communication.main()
    assert capsys.readouterr().out.strip() in communication.PAGE.read_text()


if __name__ == "__main__":
    as_one_of_two(Path(sys.argv[1]))


@pytest.mark.parametrize(
    ("batch", "processes", "nearest", "fewer"), [(17, 3, 18, 1), (16, 3, 15, 2), (1, 3, 3, 1), (64, 7, 63, 4)]
)
def test_the_nearest_batch_that_can_be_divided_is_named_and_the_most_processes_that_divide_it(
    batch: int, processes: int, nearest: int, fewer: int
) -> None:
    wrong = f"^--batch: {batch} samples cannot be divided among {processes} processes; "
    with pytest.raises(UsageError, match=f"{wrong}use {nearest}, or --processes {fewer}\\.$"):
        tiny_trainer(group=Group(0, processes), batch=batch)
