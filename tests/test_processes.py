"""Whole runs of several processes: started by a launcher or by hand, interrupted, killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from toolbox import SMALL, blobs, records, two
from wgan import cli, loop, options, worker
from wgan.run import Run


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


def test_a_mistake_is_told_once_and_leaves_nothing_where_a_file_has_the_package_s_name(
    tmp_path: Path, source: Path
) -> None:
    (tmp_path / "wgan.py").write_text("print('the wrong one')")
    code = "from wgan.cli import main; main()"  # as the installed command, which does not look into this folder
    words = ["train", str(source), "--processes=2", "--quiet", *flags(batch=9)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wgan: --batch: 9 samples cannot be divided among 2 processes; use 8, or --processes 1.\n"
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


def a_worker(rank: int, **told: object) -> Any:
    """Lets this process be one of two workers."""
    known = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "here", **told}
    return mock.patch.dict(os.environ, {name: str(value) for name, value in known.items()}, clear=True)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("variable", [worker.OUTCOME, "TORCHELASTIC_ERROR_FILE"])
def test_a_worker_that_cannot_leave_its_mistake_says_it(variable: str, rank: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with a_worker(rank, **{variable: tmp_path / "file" / "outcome.json"}):
        assert not worker.is_over()
        assert worker.report("no data.", 2) == ("no data.", 2)


def test_what_the_first_worker_tells_goes_before_what_another_does_at_the_same_time(tmp_path: Path) -> None:
    outcome, really = tmp_path / "outcome.json", json.dumps

    def first_tells(value: Any) -> str:
        if os.environ["RANK"] == "1":
            with a_worker(0, **{worker.OUTCOME: outcome}):
                assert worker.report("all of it.", 2) == ("", 0)
        return really(value)

    with a_worker(1, **{worker.OUTCOME: outcome}):
        with mock.patch.object(json, "dumps", first_tells):
            assert worker.report("a part.", 1) == ("", 0)
        assert worker.read_outcome(outcome) == {"text": "all of it.", "code": 2} and worker.is_over()


@pytest.mark.parametrize("rank", [0, 1])
def test_what_another_worker_tells_is_kept_until_the_first_tells_more(rank: int, tmp_path: Path) -> None:
    outcome = tmp_path / "outcome.json"
    with a_worker(1, **{worker.OUTCOME: outcome}):
        outcome.write_text('{"text": "a pa')
        assert not worker.is_over(), "it is just being written"
        outcome.unlink()
        assert worker.report("a part.", 1) == ("", 0)
    with a_worker(rank, **{worker.OUTCOME: outcome}):
        assert worker.report("more.", 2) == ("", 0)
    assert worker.read_outcome(outcome)["text"] == ("a part." if rank else "more.")


def test_processes_that_were_started_by_hand_train_as_one_does(tmp_path: Path, source: Path) -> None:
    words = ["train", str(source), "--quiet", *flags(generator_norm="none", critic_norm="none")]
    for child in two(["-m", "wgan", *words, "--out", str(tmp_path / "two")]):
        assert child.communicate(timeout=100)[1] == "" and child.returncode == 0
    cli.main([*words, "--out", str(tmp_path / "one")])
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
    loop.resume(run, {"steps": step + 1, "processes": 1})
    assert run.summary["steps"] == step + 1 and run.config.run.processes == 1
    code, _, err = finished(tmp_path, "resume", "r", "--steps", step + 2, "--processes", 2)
    assert code == 0 and f"going on from step {step + 1:,}" in err
    assert run.summary["steps"] == step + 2 and run.config.run.processes == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_kill_9_of_each_process_changes_nothing(tmp_path: Path, source: Path) -> None:
    settings = flags(steps=50, log_every="4", sample_every="15", save_every="7", critic_dropout=0.1, catch_up=5)
    command = ["train", source, "--processes", 2, *settings]
    assert finished(tmp_path, *command, "--out", "whole")[0] == 0
    child = started(tmp_path, *command, "--out", "killed")
    whole, killed = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    for rank, lines in ((1, 3), (0, 5)):
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
