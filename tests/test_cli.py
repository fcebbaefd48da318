"""The command line as a person meets it: help, results, and one clear line for each mistake."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox import SMALL, blobs, small_run
from wgan import cli, options, worker
from wgan.cli import app, main
from wgan.commands import doctor
from wgan.errors import Stopped
from wgan.registry import FIGURES
from wgan.run import Run
from wgan.trainer import Trainer

COMMANDS = ["train", "resume", "sample", "data", "distance", "figure", "runs", "diagnose", "presets", "doctor"]
SNAPSHOTS = Path(__file__).parent / "snapshots"

Wgan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wgan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Wgan:
    """Runs a command line in an empty folder: its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def small_flags(**changes: Any) -> list[str]:
    return [f"{options.flag(name)}={value}" for name, value in {**SMALL, **changes}.items()]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "blobs.npy", blobs())
    return tmp_path / "blobs.npy"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_the_snapshot(command: str, request: pytest.FixtureRequest) -> None:
    """In a process of its own: a command keeps the width that its first call in a process had."""
    words = [sys.executable, "-m", "wgan", *([command] if command else []), "--help"]
    asked = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}, check=True)
    text = "\n".join(line.rstrip() for line in asked.stdout.splitlines()) + "\n"
    path = SNAPSHOTS / f"help-{command or 'wgan'}.txt"
    if request.config.getoption("--update-snapshots"):
        path.write_text(text)
    assert text == path.read_text(), "after a look at it: .venv/bin/pytest tests/test_cli.py --update-snapshots"


def test_the_snapshots_are_of_all_commands() -> None:
    assert {name for name in app if not name.startswith("-")} == set(COMMANDS)


def test_every_field_of_the_configuration_is_a_flag(wgan: Wgan) -> None:
    out = wgan("train", "--help")[1]
    assert [name for name in options.all_fields() if name != "data" and options.flag(name) not in out] == []


def test_help_does_not_import_torch() -> None:
    code = "import sys\nfrom wgan.cli import main\nmain(['train', '--help'])\nassert 'torch' not in sys.modules"
    assert "--critic-lr" in subprocess.check_output([sys.executable, "-c", code], text=True)


def test_train_sample_resume_and_runs(wgan: Wgan, source: Path, tmp_path: Path) -> None:
    code, out, err = wgan("train", source, "--out", "r", *small_flags())
    assert (code, "Wasserstein estimate, held out" in out, "go on    wgan resume r" in out) == (0, True, True)
    assert "64 numbers" not in err and "grey pictures of 8x8" in err
    assert wgan("sample", "r", "-n", 300, "-o", "s.npy")[0] == 0
    samples = np.load("s.npy")
    assert samples.shape == (300, 8, 8, 1) and samples.dtype == np.uint8
    assert np.array_equal(samples[:5], Run.open("r").generator.sample(5))
    assert wgan("sample", "r/generator.safetensors", "-n", 5, "-o", "pngs/")[0] == 0
    assert [path.name for path in sorted(Path("pngs").iterdir())] == [f"{i:06d}.png" for i in range(5)]
    with Image.open("pngs/000003.png") as picture:
        assert np.array_equal(np.asarray(picture), samples[3, :, :, 0])
    assert wgan("sample", "r", "-n", 2, "-o", "faces.png/")[0] == 0 and len(list(Path("faces.png").iterdir())) == 2
    code, _, err = wgan("sample", "r", "-n", 5, "-o", "pngs/")
    assert (code, "the folder pngs is not empty; choose another" in err) == (2, True)
    assert wgan("sample", "r", "-n", 9)[0] == 0 and Path("samples.png").is_file()
    assert wgan("resume", "r", "--steps", 16, "--quiet") == (0, "", "")
    code, out, _ = wgan("runs", ".")
    assert code == 0 and "finished" in out and "16" in out


def test_json_is_one_object_and_nothing_else(wgan: Wgan, source: Path) -> None:
    for arguments in (
        ["train", source, "--out", "r", "--json", *small_flags()],
        ["resume", "r", "--steps", 13, "--json"],
        ["sample", "r", "-n", 2, "-o", "s.npy", "--json"],
        ["runs", ".", "--json"],
        ["diagnose", "r", "--json"],
        ["data", source, "--json"],
        ["data", "--list", "--json"],
        ["distance", source, source, "--json"],
        ["presets", "--json"],
        ["figure", "lipschitz", "--json"],
        ["figure", "--json"],
        ["doctor", "--no-speed", "--json"],
    ):
        code, out, err = wgan(*arguments)
        assert (code, err) == (0, ""), arguments
        assert isinstance(json.loads(out), dict) and out.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "out"), [(signal.SIGTERM, "all.npy"), (signal.SIGHUP, "all.npy"), (signal.SIGINT, "all/")]
)
def test_a_command_that_is_ended_leaves_nothing_half_written(number: int, out: str, tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=1)
    command = [sys.executable, "-m", "wgan", "sample", str(run.folder), "-n", str(10**8), "-o", out]
    written = "all.npy" if out == "all.npy" else "000000.png"
    (tmp_path / "here").mkdir()

    def heeded() -> None:  # under nohup it would not be
        signal.signal(number, signal.SIG_DFL)

    streams: dict[str, Any] = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": heeded}
    with subprocess.Popen(command, cwd=tmp_path / "here", **streams) as child:
        while child.poll() is None and not any(file.stat().st_size for file in tmp_path.glob(f"here/**/{written}")):
            time.sleep(0.05)
        for _ in range(2):  # as systemd and launchers do
            child.send_signal(number)
        assert child.communicate(timeout=100) == (None, "wgan: stopped; nothing more was saved.\n")
    assert child.returncode == 128 + number
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_comes_to_its_end_before_a_signal_is_heard(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_imported.py").write_text(f"import signal\nsignal.raise_signal({int(number)})\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cli, "_UNWINDING", 100.0)
    before = {number: signal.getsignal(number) for number in worker.SIGNALS}
    with pytest.raises(Stopped) as stopped, cli._stoppable():
        assert importlib.import_module("half_imported").whole
        time.sleep(100)  # which the signal ends
    assert stopped.value.signal == number
    assert sys.modules.pop("half_imported").whole
    signal.raise_signal(number)  # again, while the process ends
    for number, handler in before.items():
        signal.signal(number, handler)
    with cli._stoppable():
        pass
    assert {number: signal.getsignal(number) for number in worker.SIGNALS} == before


def test_dry_run_gives_json(wgan: Wgan, source: Path) -> None:
    code, out, err = wgan("train", source, "--dry-run", "--json", *small_flags())
    assert code == 0 and json.loads(out)["data"]["shape"] == "grey pictures of 8x8" and err == ""


def test_of_several_processes_one_shows_what_would_be_done(
    wgan: Wgan, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "here"}.items():
        monkeypatch.setenv(name, value)
    assert wgan("train", source, "--dry-run", *small_flags()) == (0, "", "")


def test_dry_run_shows_what_would_be_done_and_does_nothing(wgan: Wgan, source: Path) -> None:
    before = sorted(Path().iterdir())
    code, out, err = wgan("train", source, "--dry-run", *small_flags())
    assert (code, out) == (0, "")
    assert "parameters" in err and "12 generator steps" in err and "folder" in err
    assert sorted(Path().iterdir()) == before


def test_data_reports_and_draws_a_contact_sheet(wgan: Wgan, source: Path) -> None:
    code, out, _ = wgan("data", source)
    assert code == 0 and "64 samples, grey pictures of 8x8" in out and "held out: " in out
    with Image.open("blobs-contact-sheet.png") as sheet:
        assert min(sheet.size) > 300
    assert wgan("data", "ring", "-o", "ring.png")[0] == 0 and Path("ring.png").is_file()
    code, out, err = wgan("data", source, "-o", "/proc/nope/x.png", "--json")
    assert code == 1 and json.loads(out)["contact_sheet"] is None and "/proc/nope" in err


def test_samples_of_vectors_are_drawn(wgan: Wgan) -> None:
    small = [flag for flag in small_flags(steps=2) if "generator" not in flag and "critic=" not in flag]
    assert wgan("train", "ring", "--out", "r", "--quiet", *[f for f in small if "width" not in f])[0] == 0
    assert wgan("sample", "r", "-n", 64, "-o", "v1.0.PNG")[0] == 0
    with Image.open("v1.0.PNG") as picture:
        assert picture.size == (800, 800)
    assert wgan("sample", "r", "-n", 5, "-o", "points.npy")[0] == 0
    assert np.load("points.npy").shape == (5, 2)


def test_a_figure_is_drawn_and_its_numbers_are_told(wgan: Wgan) -> None:
    code, out, err = wgan("figure", "parallel-lines")
    assert (code, err) == (0, "") and Path("parallel-lines.png").is_file()
    assert (
        out.startswith("parallel-lines in parallel-lines.png\n")
        and "em_at_1 = 1\n" in out
        and "kl_at_1 = infinite" in out
    )
    assert wgan("figure", "lipschitz", "-o", "new/f.png")[0] == 0 and Path("new/f.png").is_file()


def test_tables(wgan: Wgan) -> None:
    assert all(name in wgan("presets")[1] for name in options.presets())
    assert "fashion-mnist" in wgan("data", "--list")[1]
    assert all(name in wgan("figure")[1] for name in FIGURES)


def test_doctor_tells_versions_machine_caches_and_extras(wgan: Wgan) -> None:
    out = wgan("doctor", "--no-speed")[1]
    assert all(word in out for word in ("torch", "processor", "gpu", "precision", "cache", "tensorboard"))


@pytest.mark.parametrize("fast", [False, True])
def test_doctor_measures_speed_where_it_is_not_known_to_be_low(
    wgan: Wgan, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(doctor, "has_fast_bf16", lambda device: fast)
    monkeypatch.setattr(doctor, "_images_per_second", lambda family, precision, device: 12.0 if "mlp" in family else 3)
    found = json.loads(wgan("doctor", "--json")[1])["images_per_second"]
    assert list(found.items()) == [
        (f"wgan-gp {family} 28x28 {name}", rate)
        for family, rate in (("mlp", 12.0), ("dcgan", 3))
        for name in (("fp32", "bf16") if fast else ("fp32",))
    ]


def test_speed_counts_the_images_of_the_time_that_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS", 0.3)
    with mock.patch.object(Trainer, "advance", autospec=True, side_effect=Trainer.advance) as steps:
        began = time.perf_counter()
        rate = doctor._images_per_second("mlp", torch.float32, torch.device("cpu"))
        elapsed = time.perf_counter() - began
    images = 5 * 64 * (steps.call_count - 1)  # of five critic steps each, but for the first, which is not timed
    assert images / elapsed < rate < 1.01 * images / 0.3


MISTAKES = [
    (["trian"], 2, ["trian", "train"]),
    (["train", "--bacth", "3"], 2, ["--bacth", "--batch"]),
    (["walk"], 2, ["unknown command 'walk'", "train, resume, sample,", "presets, doctor"]),
    (["train", "--batch", "zero"], 2, ["--batch", "'zero' is not a whole number"]),
    (["train", "--batch", "8.7"], 2, ["--batch", "'8.7' is not a whole number"]),
    (["sample", "r", "--seed", "1.5"], 2, ["--seed", "'1.5' is not a whole number"]),
    (["distance", "blobs.npy", "blobs.npy", "--samples", "1"], 2, ["--samples: 1 is too small; at least 2 is"]),
    (["distance", "blobs.npy", "blobs.npy", "--samples", "9.9"], 2, ["--samples", "'9.9' is not a whole number"]),
    (
        ["distance", "blobs.npy", "blobs.npy", "--method", "critic", "--steps", "-3"],
        2,
        ["--steps: -3 is too small; at least 1 is allowed"],
    ),
    (["runs", "nowhere", "--json"], 1, ["no runs in nowhere"]),
    (["train", "--fit", "crp"], 2, ["--fit", "crop"]),
    (["train", "--size", "64x"], 2, ["--size", "48x64"]),
    (["train", "--time", "soon"], 2, ["--time", "90s"]),
    (["train", "--precision", "fp16"], 2, ["--precision", "bf16"]),
    (["train", "--preset", "wgan-pg"], 2, ["wgan-gp", "wgan presets"]),
    (["train", "--config", "no.toml"], 1, ["the configuration no.toml: No such file or directory."]),
    (["train", "digitz"], None, ["digitz", "digits"]),
    (["train", "no/such/folder"], None, ["no/such/folder"]),
    (["train", "a", "b"], 2, ["unexpected", "'b'."]),
    (["data", "a.jpg", "b.jpg", "c.jpg", "d.jpg"], 2, ["unexpected 'b.jpg' and 2 more."]),
    (["data", "r/curves.png"], 2, ["not a data set", "for pictures give their folder"]),
    (["data", "table.csv"], 2, ["not a data set", "for a table save its numbers with numpy.save"]),
    (["train", "--decay", "cosine"], 2, ["unknown value 'cosine'. Known"]),
    (["sample", "r", "-o", ""], 2, ["empty"]),
    (["train", "--lr", "0.1"], 2, ["unknown option --lr; did you mean", "--critic-lr or --generator-lr?"]),
    (["train", "--learning-rate", "0.1"], 2, ["--critic-lr or --generator-lr?"]),
    (["train", "x", "--batch-size", "3"], 2, ["unknown option --batch-size; did you mean", "--batch"]),
    (["train", "x", "--critc-lr", "3"], 2, ["did you mean --critic-lr?"]),
    (["train", "x", "--critic-stpes", "3"], 2, ["did you mean --critic-steps?"]),
    (["resume", "r", "--critic-stpes", "3"], 2, ["--critic-steps cannot change in a resumed run"]),
    (["resume", "r", "--every", "3"], 2, ["--every cannot change in a resumed run"]),
    (["sample", "r", "--data", "x"], 2, ["unknown option --data. See `wgan sample --help`"]),
    (["train", "x", "--gpu"], 2, ["unknown option --gpu. See"]),
    (["train", "--data", "x"], 2, ["the data are given without an option: wgan train DATA."]),
    (["distance", "--data", "x"], 2, ["the data are given without an option: wgan distance A B."]),
    (["resume", "r", "--lr", "3"], 2, ["--critic-lr cannot change in a resumed run"]),
    (["train", "./digits"], 2, ["there is no folder ./digits here", "without the ./"]),
    (["train", "blobs.npy", "--device", "gpu"], 2, ["--device: 'gpu' is not supported; use auto, cpu, cuda"]),
    (["train", "x", "--steps", "٣"], 2, ["'٣' is not a whole number"]),
    (["train", "cifar10"], 1, ["--download", "--data-dir"]),
    (["resume"], 2, ["RUN"]),
    (["resume", "no-run"], 1, ["no-run", "wgan runs"]),
    (["resume", ".", "--batch", "3"], 2, ["--batch cannot change in a resumed run", "--init-from"]),
    (["sample", "no-run"], 1, ["no-run"]),
    (["sample", "r", "-n", "0"], 2, ["-n: 0 is too small; at least 1 is allowed"]),
    (["sample", "r", "-n", "x"], 2, ["-n", "'x' is not a whole number"]),
    (["sample", "r", "-o", "s.jpeg"], 2, ["x.npy"]),
    (["sample", "r", "-n", "5000", "-o", "s.png"], 2, ["1,024"]),
    (["sample", "r", "--seed", "-1"], 2, ["--seed: -1 is too small; at least 0 is allowed"]),
    (["sample", "r", "--seed", str(2**63)], 2, [f"--seed: {2**63} is too large; at most {2**63 - 1} is allowed"]),
    (["train", ""], 2, ["--data", "empty"]),
    (["train", "--threads", "100000"], 2, ["--threads", "512"]),
    (["train", "~nobody2/x"], None, ["~nobody2"]),
    (["train", "mnist", "--data-dir", "~nobody2/x"], None, ["mnist"]),
    (["train", "blobs.npy", "--latent", "100000000000"], 1, ["networks cannot be made"]),
    (["train", "blobs.npy", "--device", "meta"], 2, ["--device"]),
    (["data", "blobs.npy", "-o", "blobs.npy"], 2, ["--out", "blobs.npy", "sheet.png"]),
    (["data", "blobs.npy", "-o", "."], 2, ["--out", "sheet.png"]),
    (["data", "r"], 1, ["a run's folder", "wgan resume"]),
    (["runs", "r"], 1, ["is a run itself"]),
    (["train", "blobs.npy", "--held-out", "0"], 2, ["--held-out", "without held-out samples there is no estimate"]),
    (["train", "blobs.npy", "--log-every", "0"], 2, ["--log-every", "500 (steps), 1epoch"]),
    (["resume", "r", "--steps", "1"], 2, ["beyond the 1 that", "ask for more: wgan resume r --steps 4"]),
    (["sample", "r/checkpoints/last.safetensors", "-o", "x.npy"], 1, ["name a run"]),
    (["figure", "dirac"], 2, ["dirac-gan", "lipschitz"]),
    (["figure", "lipschitz", "-o", "f.jpeg"], 2, ["--out", ".png"]),
    (["figure", "-o", "f.png"], 2, ["--out: say which figure to draw there"]),
    (["figure", "lipschitz", "--seed", "-1"], 2, ["--seed: -1 is too small; at least 0 is allowed"]),
    (["runs", "empty"], 1, ["empty", "wgan train"]),
    (["data", "empty"], 1, ["empty"]),
    (
        ["train", "blobs.npy", "--out", "r", "--steps", "1"],
        2,
        ["if it is finished with a larger --time or --steps: wgan resume r"],
    ),
    (["train", "blobs.npy", "--init-from", "empty", "--steps", "1"], 1, ["empty"]),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    np.save(folder / "blobs.npy", blobs())
    (folder / "empty").mkdir()
    (folder / "table.csv").write_text("1,2")
    main(["train", str(folder / "blobs.npy"), "--out", str(folder / "r"), "--quiet", *small_flags(steps=2)])
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    MISTAKES,
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_clear_line(
    arguments: list[str], code: int | None, words: list[str], wgan: Wgan, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    found, out, err = wgan(*arguments)
    assert (found == code) if code is not None else found in (1, 2)
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("wgan: ")]
    assert len(lines) == 1 and err.rstrip().endswith(lines[0])
    assert "Traceback" not in err
    assert [word for word in words if word not in lines[0]] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--processes=5000"], "--processes: 5000 is too large; at most 512 is allowed"),
        (["--processes=2", "--threads=0"], "--threads: 0 is too small; at least 1 is allowed"),
    ],
)
def test_a_resume_starts_no_process_before_all_its_flags_are_right(
    words: list[str], told: str, wgan: Wgan, tmp_path: Path
) -> None:
    Run.create(options.make_config(SMALL), tmp_path / "r", "r", {})
    with mock.patch("wgan.commands.launch.launch") as started:
        code, _, err = wgan("resume", "r", *words)
    assert (code, started.called) == (2, False) and told in err


def test_ctrl_c_while_the_command_line_is_imported_has_no_traceback() -> None:
    code = (
        "import os, signal, sys\nfrom wgan.__main__ import main\n"
        "class Late:\n    def find_spec(self, name, *_):\n"
        "        if name == 'cyclopts': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Late())\nmain()"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (child.returncode, child.stderr) == (-signal.SIGINT, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_an_answer_that_cannot_be_written_is_said_to_be_so() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "wgan", "presets"]
        child = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    said = "wgan: the answer cannot be written to standard output: No space left on device.\n"
    assert (child.returncode, child.stderr) == (1, said)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stopped_command_saves_and_says_how_to_go_on(name: str, code: int, source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wgan", "train", str(source), "--out", "r", *small_flags(steps=10**6)]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        deadline, metrics = time.monotonic() + 60, tmp_path / "r" / "metrics.jsonl"
        while not metrics.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(getattr(signal, name))
        _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert "wgan resume r" in err and "Traceback" not in err
    assert Run.open(tmp_path / "r").summary["status"] == "interrupted"
