"""What belongs to a launch: which runs it goes on with, and what is said when it goes wrong."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toolbox import SMALL, blobs, small_config, small_run
from wgan import cli, loop, options, worker
from wgan.commands import launch as commands
from wgan.errors import LostError, UsageError, WganError
from wgan.loop.resuming import check_same_options
from wgan.loop.stop import Stop
from wgan.parallel import _fresh
from wgan.parallel.launcher import _environment
from wgan.run import Run
from wgan.view import View

pytestmark = pytest.mark.usefixtures("empty_drawings")

Elastic = Any


@pytest.fixture
def elastic(monkeypatch: pytest.MonkeyPatch) -> Elastic:
    """Lets this process be the only worker of a launcher: with a name of its own, a run id and a number of restarts."""

    def become(agent: str, restarts: int = 0, name: str = "none") -> None:
        told = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": name}
        told |= {"TORCHELASTIC_RESTART_COUNT": str(restarts)}
        told |= {"TORCHELASTIC_ERROR_FILE": f"/tmp/torchelastic_x/{name}_{agent}/attempt_{restarts}/0/error.json"}
        for variable, value in told.items():
            monkeypatch.setenv(variable, value)

    return become


class Notes(View):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def again(out: Path, **changes: Any) -> list[str]:
    """Train in the same folder once more; gives what was said."""
    view = Notes()
    assert loop.train(small_config(**changes), source=blobs(), out=out, view=view) is not None
    return view.notes


def test_a_refused_folder_stays_refused_however_often_a_launcher_starts(tmp_path: Path, elastic: Elastic) -> None:
    elastic("a")
    small_run(tmp_path / "r")
    for restarts in (0, 1, 2):
        elastic("b", restarts)
        with pytest.raises(UsageError, match="is not empty"):
            again(tmp_path / "r", seed=1)
    elastic("a", 1)
    assert again(tmp_path / "r") == ["a process was lost, and all have started again."]


def test_processes_started_by_hand_never_go_on_with_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(variable, value)
    small_run(tmp_path / "r")
    assert worker.place().launch == ""
    with pytest.raises(UsageError, match="is not empty"):
        again(tmp_path / "r")


def test_a_launch_of_the_same_name_goes_on_only_with_the_same_settings(tmp_path: Path, elastic: Elastic) -> None:
    elastic("a", name="photos-1")
    small_run(tmp_path / "r")
    elastic("b", name="photos-1")
    with pytest.raises(UsageError, match=r"launch of this name with another --critic-lr, --seed; give the same"):
        again(tmp_path / "r", seed=1, critic_lr=1e-3)
    run = Run(tmp_path / "r")
    with pytest.raises(UsageError, match=r"launch of this name with another --data; give the same"):
        check_same_options(options.make_config(options.flatten(run.config), {"data": "other.npy"}), run)
    notes = again(tmp_path / "r", steps=14)
    assert notes[0] == f"going on with {tmp_path / 'r'}, which a launch of this name began."
    assert notes[1].startswith("going on from step 12") and Run(tmp_path / "r").summary["steps"] == 14
    elastic("c", name="photos-1")
    with pytest.raises(UsageError, match="used up its budget"):
        again(tmp_path / "r", steps=14)
    elastic("d", name="photos-2")
    with pytest.raises(UsageError, match="is not empty"):
        again(tmp_path / "r", steps=16)


def test_a_used_up_run_is_refused_at_every_start_but_of_the_launcher_that_ended_it(
    tmp_path: Path, elastic: Elastic
) -> None:
    elastic("a")
    run = small_run(tmp_path / "r")
    for restarts in (0, 1):
        elastic("b", restarts)
        with pytest.raises(UsageError, match="used up its budget"):
            loop.resume(run, {}, source=blobs())
    elastic("b", 0)
    loop.resume(run, {"steps": 13}, source=blobs())
    elastic("b", 1)  # a process was lost when all was done
    assert loop.resume(run, {"steps": 13}, source=blobs()).summary["steps"] == 13


@pytest.mark.parametrize("by_name", [False, True])
def test_a_start_before_the_first_save_takes_the_given_weights_again(
    by_name: bool, tmp_path: Path, elastic: Elastic
) -> None:
    other = small_run(tmp_path / "other", seed=9)
    elastic("a")
    run = loop.train(small_config(), source=blobs(), out=tmp_path / "r", init_from=other.folder)
    assert run is not None
    whole, _ = run.restore()
    for left in ("checkpoints/last.safetensors", "generator.safetensors", "metrics.jsonl"):
        (run.folder / left).unlink()
    elastic("a", 1)
    if by_name:
        loop.resume(run, {}, source=blobs())
    else:
        loop.train(small_config(), source=blobs(), out=tmp_path / "r", init_from=other.folder)
    found, _ = run.restore()
    assert [name for name in whole if not torch.equal(whole[name], found[name])] == []


def test_the_end_of_the_launcher_asks_to_stop(monkeypatch: pytest.MonkeyPatch, elastic: Elastic) -> None:
    another = os.getppid() + 1
    with monkeypatch.context() as gone:
        gone.setattr(os, "getppid", lambda: another)
        assert Stop().signal == 0  # nobody launched this process
        elastic("a")
        assert Stop().signal == signal.SIGTERM
        assert worker.report("stopped.", 143) == ("stopped.", 143)
    assert Stop().signal == 0


def test_a_worker_without_its_launcher_does_not_wait_for_others() -> None:
    with _environment({}):
        told = dict(os.environ)
    assert told[worker.LAUNCHER] == str(os.getpid())
    with socket.socket() as silent:  # where nobody answers
        silent.bind(("127.0.0.1", 0))
        told |= {"RANK": "1", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none", worker.LAUNCHER: "0"}
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(silent.getsockname()[1])}
        code = "from wgan.parallel import joined\nwith joined('cpu'): pass"
        done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, timeout=100, check=False)
    assert done.returncode == 143


def test_the_first_process_does_not_wait_for_ever() -> None:
    store = torch.distributed.HashStore()
    store.set_timeout(timedelta(seconds=0.1))
    with pytest.raises(LostError, match=r"processes \[1, 2\] of this run did not come within"):
        _fresh(store, 0, 3)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_that_cannot_be_made_is_told_the_same(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    Path("runs").touch()
    words = [f"{options.flag(name)}={value}" for name, value in SMALL.items()]
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "blobs.npy", "--quiet", f"--processes={processes}", *words])
    told = capsys.readouterr().err
    assert end.value.code == 1
    assert told == "wgan: --out: cannot make the folder runs/0001-blobs-default: Not a directory; choose another.\n"


def test_more_processes_than_cores_must_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, started = small_run(tmp_path / "r"), []
    run.write_config(options.make_config(options.flatten(run.config), {"processes": 8}))
    monkeypatch.setattr(commands.processor, "cores", lambda: 3)
    monkeypatch.setattr(commands, "launch", lambda processes, *_: started.append(processes))
    with pytest.raises(UsageError, match=r"in 8 processes, and this program may use 3 cores.*--processes 2$"):
        commands.launch_resume(run, {"steps": 20}, [])
    commands.launch_resume(run, {"processes": 8}, [])
    commands.launch_resume(run, {"device": "cuda"}, [])  # where a process has a GPU, cores do not limit
    assert started == [8, 8]


def test_a_launch_that_leaves_nothing_and_says_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "launch", lambda *_: None)
    with pytest.raises(WganError, match="ended without a word"):
        commands.launch_train(small_config(processes=2), "r", tmp_path / "r", None, [])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_processes_save_and_stop_when_their_launcher_is_killed(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    words = [f"{options.flag(name)}={value}" for name, value in {**SMALL, "steps": 10**6}.items()]
    child = subprocess.Popen(
        [sys.executable, "-m", "wgan", "train", "blobs.npy", "--processes=2", "--out=r", *words],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run, deadline = Run(tmp_path / "r"), time.monotonic() + 100
    while not run.metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    assert len(workers) == 2
    child.kill()
    _, err = child.communicate(timeout=100)  # which ends when no worker holds the other end any more
    assert err.count("wgan: stopped and saved; go on with: wgan resume r") == 1 and "Traceback" not in err
    assert run.summary["status"] == "interrupted" and not run.is_training
    assert run.restore()[1]["step"] == run.summary["steps"] > 0


@pytest.mark.slow
def test_torchrun_refuses_a_folder_at_every_start(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    words = [f"{options.flag(name)}={value}" for name, value in SMALL.items()]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--max-restarts=1", "--nproc-per-node=1", "-m", "wgan"]

    def end_of(*arguments: str) -> int:
        return subprocess.run([*torchrun, *arguments], cwd=tmp_path, capture_output=True, timeout=100).returncode

    before = small_run(tmp_path / "r").summary
    assert end_of("train", "blobs.npy", "--out=r", *words, "--seed=1") == 1
    assert Run(tmp_path / "r").summary == before


def test_what_a_person_set_goes_before_what_is_usual_and_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.delenv("TORCH_CPP_LOG_LEVEL", raising=False)
    before = dict(os.environ)
    with _environment({"TOLD": "x"}):
        inside = dict(os.environ)
    assert os.environ == before
    assert (inside["OMP_NUM_THREADS"], inside["GLOO_SOCKET_IFNAME"], inside["TOLD"]) == ("3", "eth7", "x")
    assert inside["PYTHONSAFEPATH"] == "1" and inside["TORCH_CPP_LOG_LEVEL"] == "ERROR"
