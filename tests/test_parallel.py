"""Several processes: the steps of one, the files of one, and the same end after one of them is killed.

Run as a program, this file is one of the two processes that a test starts.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from toolbox import SMALL, blobs, records, small_config, tiny_trainer, vectors
from wgan import loop, options, worker
from wgan.config import DataConfig
from wgan.constraints import R1, R2, Sum
from wgan.data import open_data
from wgan.data.batches import Batches
from wgan.data.samples import Vectors
from wgan.errors import UsageError
from wgan.measurement import Meter
from wgan.networks import Latent, make_critic, make_generator
from wgan.parallel import ALONE, Exchange, Group, joined
from wgan.registry import CONSTRAINTS, OBJECTIVES
from wgan.run import Run
from wgan.state import prefixed, snapshot
from wgan.trainer import Trainer
from wgan.view import View

STEPS = 5


def pictures(group: Group, norm: str = "none", **changes: Any) -> Trainer:
    """A float64 trainer of convolutions on pictures that are mirrored."""
    torch.manual_seed(0)
    generator = make_generator("dcgan", (1, 8, 8), Latent(8), width=4, norm=norm).double()
    critic = make_critic("dcgan", (1, 8, 8), width=4, norm="none").double()
    trainer = Trainer(generator, critic, batch=16, flip=True, critic_steps=2, seed=3, group=group, **changes)
    trainer.attach(blobs())
    return trainer


class WithSpare(nn.Module):
    """A critic with a weight that no score hangs on."""

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
BATCH_NORM = "batch norm"


def result(group: Group, case: str) -> dict[str, Tensor]:
    """All of a trainer's state after five steps, its last record's numbers, and its statistics after the first step."""
    trainer = pictures(group, norm="batch") if case == BATCH_NORM else CASES[case](group)
    trainer.advance()
    early = {f"early.{name}": buffer.clone() for name, buffer in trainer.generator.named_buffers()}
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


def as_one_of_two(folder: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    with joined("cpu") as group:
        told: dict[str, Tensor] = {}
        for case in (*CASES, BATCH_NORM):
            told |= prefixed(case, {k: v.contiguous() for k, v in result(group, case).items()})
        told |= prefixed("unseeded", {k: v.clone().contiguous() for k, v in unseeded(group).items()})
        save_file(told, folder / f"{group.rank}.safetensors")


def two(arguments: list[str], **environment: str) -> list[subprocess.Popen[str]]:
    """Start this file in two processes that find each other on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "GLOO_SOCKET_IFNAME": "lo", "TORCH_CPP_LOG_LEVEL": "ERROR"}  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, *arguments],
            env=os.environ | shared | environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


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


@pytest.mark.parametrize("case", [*CASES, BATCH_NORM])
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
    assert (two_ - one).norm() < 0.2 * (one - first).norm()
    # The mean of the parts' means is the mean of the whole; the mean of their variances is not its variance.
    means, variances = "early.body.0.1.running_mean", "early.body.0.1.running_var"
    assert relative(found[means], alone[means]) < 1e-10
    assert 1e-6 < relative(found[variances], alone[variances]) < 0.01


def test_the_parts_of_a_batch_are_the_batch() -> None:
    rows = Vectors(vectors(50))
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
    with pytest.raises(UsageError, match="16 samples cannot be divided among 3 processes; use 15"):
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
    assert loop.train(small_config(processes=2), source=blobs(), out=tmp_path / "r", dry_run=True, view=Facts()) is None
    assert "1 thread in each of 2 processes" in told[0] and not (tmp_path / "r").exists()


def test_python_starts_no_processes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"processes=2.*wgan train --processes 2.*torchrun"):
        loop.train(small_config(processes=2), source=blobs(), out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_process_that_is_alone_exchanges_nothing() -> None:
    weight, value = nn.Parameter(torch.ones(2)), torch.tensor(3.0)
    assert Exchange(ALONE, [weight])(value) == (value,) and weight.grad is None
    with joined() as group:
        assert group is ALONE and group.largest(1, 0) == [1, 0] and group.first_says(True)


class Present:
    """torch.distributed with the sum of both processes, one of which is played by a tensor."""

    def __init__(self, others: Tensor | None = None) -> None:
        self.others, self.started, self.waited = others, 0, 0

    def all_reduce(self, flat: Tensor, async_op: bool = False) -> "Present":
        self.started += 1
        flat.add_(flat if self.others is None else self.others)
        return self

    def wait(self) -> None:
        self.waited += 1


@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("sizes", [(4, 4, 3, 4, 1), (2, 2), (5,)])
def test_each_process_computes_its_pieces_only_and_all_have_all(
    sizes: tuple[int, ...], rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = [torch.rand(size, dtype=torch.float64) for size in sizes]
    zero = [torch.zeros(size, dtype=torch.float64) for size in sizes]
    own = range(rank, len(sizes), 3)
    others = torch.cat([zero[k] if k in own else pieces[k] for k in range(len(sizes))])
    monkeypatch.setattr(torch, "distributed", Present(others))
    asked: list[int] = []
    whole = Group(rank, 3).gather(sizes, lambda k: (asked.append(k), pieces[k])[1])  # type: ignore[func-returns-value]
    assert asked == list(own)
    assert torch.equal(whole, torch.cat(pieces))


def test_what_is_done_meanwhile_is_done_once_between_sending_and_waiting_and_may_have_a_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    present, weight, told = Present(), nn.Parameter(torch.ones(2)), list[Any]()
    monkeypatch.setattr(torch, "distributed", present)
    exchange = Exchange(Group(0, 2), [weight])
    weight.grad = torch.tensor([1.0, 2.0])
    (value,) = exchange(
        torch.tensor(3.0),
        meanwhile=lambda: told.append((present.started, present.waited, (2 * weight).requires_grad)),
    )
    assert told == [(1, 0, True)] and present.waited == 1
    assert value == 3 and torch.equal(weight.grad, torch.tensor([1.0, 2.0]))  # the mean of both, who are equal


def test_measuring_a_critic_with_batch_norm_does_not_depend_on_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer, data = pictures(ALONE), open_data(blobs(200), DataConfig(held_out=0.5))
    critic = make_critic("dcgan", (1, 8, 8), width=4, norm="batch").double()
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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "blobs.npy", blobs())
    return tmp_path / "blobs.npy"


def flags(**changes: Any) -> list[str]:
    return [f"{options.flag(name)}={value}" for name, value in {**SMALL, **changes}.items()]


def started(folder: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wgan", *map(str, words)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finished(folder: Path, *words: object) -> tuple[int, str, str]:
    child = started(folder, *words)
    out, err = child.communicate(timeout=200)
    return child.returncode, out, err


def wait_for(fact: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 100
    while not (found := fact()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found
    return found


def worker_of(launcher: int, rank: int) -> int | None:
    """The process with this rank that a launcher has started."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        with suppress(OSError):
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                return int(child)
    return None


def test_a_mistake_is_told_once_and_leaves_nothing(tmp_path: Path, source: Path) -> None:
    code, out, err = finished(tmp_path, "train", source, "--processes", 3, "--quiet", *flags())
    assert (code, out) == (2, "")
    assert err == "wgan: --batch: 8 samples cannot be divided among 3 processes; use 9.\n"
    assert list((tmp_path / "runs").iterdir()) == []


def test_processes_that_were_started_by_hand_need_a_folder(tmp_path: Path, source: Path) -> None:
    children = two(["-m", "wgan", "train", str(source), *flags()])
    told = [child.communicate(timeout=100)[1] for child in children]
    assert children[0].returncode == 2 and all(child.returncode for child in children)
    assert told[0].startswith("wgan: --out: several processes") and told[0].count("\n") == 1
    assert told[1].startswith("wgan: process 1: --out: several processes") and told[1].count("\n") == 1


def test_each_process_that_was_started_by_hand_tells_its_own_mistake() -> None:
    with mock.patch.dict(os.environ, {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here"}, clear=True):
        assert worker.report("no data.", 2) == ("process 1: no data.", 2)
        assert worker.report("stopped.", 130) == ("", 130)  # all were, and the first one says it


def test_processes_that_were_started_by_hand_train_as_one_does(tmp_path: Path, source: Path) -> None:
    words = ["-m", "wgan", "train", str(source), "--quiet", *flags(generator_norm="none", critic_norm="none")]
    for child in two([*words, "--out", str(tmp_path / "two")]):
        assert child.communicate(timeout=100)[1] == "" and child.returncode == 0
    subprocess.run([sys.executable, *words, "--out", str(tmp_path / "one")], check=True, timeout=100)
    one, both = Run.open(tmp_path / "one"), Run.open(tmp_path / "two")
    assert both.summary["status"] == "finished" and both.config.run.processes == 2
    assert [path.name for path in both.sample_paths()] == [path.name for path in one.sample_paths()]
    for record, expected in zip(records(both), records(one), strict=True):
        known = {name: value for name, value in expected.items() if value is not None}
        assert {name: record[name] for name in known} == pytest.approx(known, rel=2e-3, abs=1e-5)


@pytest.mark.slow
def test_ctrl_c_saves_once_and_another_number_of_processes_goes_on(tmp_path: Path, source: Path) -> None:
    child = started(tmp_path, "train", source, "--processes", 2, "--out", "r", *flags(steps=10**6))
    wait_for((tmp_path / "r" / "metrics.jsonl").exists)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=100)
    assert child.returncode == 130
    assert err.count("wgan: stopped and saved; go on with: wgan resume r") == 1 and "Traceback" not in err
    assert re.findall(r"^[A-Z]\d{4} .*|.*death signal.*|.*closing signal.*", err, re.MULTILINE) == []  # torch's own log
    run = Run.open(tmp_path / "r")
    step = run.summary["steps"]
    assert run.summary["status"] == "interrupted"
    for processes in (1, 2):
        code, _, err = finished(tmp_path, "resume", "r", "--steps", step + processes, "--processes", processes)
        assert code == 0 and f"going on from step {step + processes - 1:,}" in err
        assert run.summary["steps"] == step + processes and run.config.run.processes == processes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_kill_9_of_each_process_changes_nothing(tmp_path: Path, source: Path) -> None:
    settings = flags(steps=150, log_every="5", sample_every="50", save_every="7", critic_dropout=0.1)
    command = ["train", source, "--processes", 2, *settings]
    assert finished(tmp_path, *command, "--out", "whole")[0] == 0
    child = started(tmp_path, *command, "--out", "killed")
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    for rank, lines in ((1, 5), (0, 14)):
        wait_for(lambda lines=lines: len(killed.records()) > lines)
        pid = worker_of(child.pid, rank)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    _, err = child.communicate(timeout=200)
    assert child.returncode == 0 and "Traceback" not in err and err.count("going on from step") == 2
    assert err.count("a process was lost") == 2
    first, second = whole.restore()[0], killed.restore()[0]
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert records(whole) == records(killed)
    assert [p.read_bytes() for p in whole.sample_paths()] == [p.read_bytes() for p in killed.sample_paths()]


def test_the_table_of_what_is_sent_is_the_script_s(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    table = subprocess.check_output([sys.executable, str(root / "bench" / "communication.py")], text=True)
    assert table.strip() in (root / "docs" / "scaling.md").read_text()


if __name__ == "__main__":
    as_one_of_two(Path(sys.argv[1]))
