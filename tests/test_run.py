"""The run's folder: never written over, locked, atomic, and readable after anything."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import wgan
from toolbox import blobs, small_config, small_run, tiny_trainer
from wgan.data.samples import Units
from wgan.errors import UsageError, WganError
from wgan.files import write_atomically, write_text
from wgan.model import Model, save_model, save_tensors
from wgan.networks import Latent, make_generator
from wgan.overview import overview, overview_table
from wgan.run import Run, find_runs, numbered_folder
from wgan.trainer.state import load


def make(out: Path | None, name: str = "digits-default") -> Run:
    return Run.create(small_config(), out, name, {"python": "3"})


def test_numbered_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [make(None, name).folder.name for name in ("digits-default", "My Photos!-default", "日本 ü", "a" * 300)]
    assert names == ["0001-digits-default", "0002-my-photos-default", "0003-日本-ü", f"0004-{'a' * 60}"]
    assert [run.folder.name for run in find_runs(Path("runs"))] == names


def test_a_folder_that_exists_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"exists and is not empty.* choose another folder, or empty it"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_a_killed_process_left_half_written_keeps_no_run_away(tmp_path: Path) -> None:
    (tmp_path / "r" / ".left.part").mkdir(parents=True)
    Run(tmp_path / "r").check_empty()
    assert make(tmp_path / "r").environment == {"python": "3"}


def test_of_two_processes_that_make_one_folder_at_once_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Path.iterdir

    def meanwhile(folder: Path) -> Any:
        found = list(seen(folder))
        monkeypatch.undo()
        Run.create(small_config(), folder, "a", {"who": "first"})
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", meanwhile)
    with pytest.raises(UsageError, match="exists and is not empty"):
        Run.create(small_config(), tmp_path / "r", "a", {"who": "second"})
    assert Run.open(tmp_path / "r").environment == {"who": "first"}


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for use in (make, lambda place: Run(place).check_empty()):
        with pytest.raises(WganError, match="cannot make the folder"):
            use(tmp_path / "file")


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "generator.safetensors").write_text("")
    with pytest.raises(WganError, match=r"generator.safetensors is not a run's folder \(it has no config.toml\)"):
        Run.open(tmp_path / "generator.safetensors")


@pytest.mark.skipif(sys.platform == "darwin", reason="names are valid text there")
def test_a_run_whose_folder_s_name_is_not_utf_8_is_read_again(tmp_path: Path, empty_drawings: None) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    run = small_run(folder, steps=2)
    assert wgan.resume(folder, blobs(), steps=3, quiet=True).records()[-1]["step"] == 3
    assert wgan.load(folder).sample(4).shape == wgan.load(run).sample(4).shape == (4, 8, 8, 1)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are valid text there")
def test_data_below_a_folder_whose_name_is_not_utf_8_are_refused_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / os.fsdecode(b"caf\xe9")
    here.mkdir()
    np.save(here / "v.npy", np.random.default_rng(0).normal(size=(50, 2)))
    monkeypatch.chdir(here)
    with pytest.raises(UsageError, match=r"--data: .*caf.*v.npy' is not valid text; rename it\."):
        wgan.train("v.npy", steps=1, quiet=True)
    assert [path.name for path in here.iterdir()] == ["v.npy"]


def test_the_configuration_comes_back(tmp_path: Path) -> None:
    assert make(tmp_path / "r").config == small_config()
    assert Run.open(tmp_path / "r").environment == {"python": "3"}


@pytest.mark.parametrize(("name", "words"), [("nothing", "does not exist"), ("empty", "is not a run's folder")])
def test_what_is_no_run_is_said(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WganError, match=words):
        Run.open(tmp_path / name)


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    code = "import sys; from wgan.run import Run\nwith Run.open(sys.argv[1]).lock(): print('in')"
    other = [sys.executable, "-c", code, str(run.folder)]
    with run.lock():
        refused = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "another process is training" in refused.stderr
    assert subprocess.check_output(other, text=True) == "in\n"


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """As one is that `wgan runs` takes to see whether somebody trains."""
    run, inside, seen = make(tmp_path / "r"), threading.Event(), threading.Event()

    def look() -> None:
        with Run.open(run.folder).lock():
            inside.set()
            seen.wait(10)
            time.sleep(0.1)

    looker = threading.Thread(target=look)
    looker.start()
    assert inside.wait(10)
    assert run.is_training, "who looks does not wait"
    seen.set()
    with run.lock():
        looker.join()
    assert not run.is_training


def test_a_folder_becomes_a_run_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what says with which weights it begins must be there, whenever it is killed."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wgan.run.write_json", full)
    with pytest.raises(OSError, match="No space left"):
        Run.create(small_config(), tmp_path / "r", "r", {"init_from": "weights"})
    with pytest.raises(WganError, match=r"it has no config\.toml"):
        Run.open(tmp_path / "r")


def test_looking_at_a_run_makes_nothing_and_believes_what_it_may_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path / "r")
    run.write_summary({"status": "training"})
    assert not run.is_training and not (run.folder / "lock").exists()
    with run.lock():
        assert run.is_training

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(run.folder / "lock"))

    (run.folder / "lock").touch()
    assert overview(run)["status"] == "killed"
    monkeypatch.setattr("wgan.run.FileLock.acquire", refused)
    assert overview(run)["status"] == "training"
    with pytest.raises(WganError, match=r"r cannot be written: Permission denied; copy it first\."), run.lock():
        pass
    monkeypatch.setattr(Run, "records", refused)
    assert overview(run)["status"] == "unreadable"
    assert overview_table([overview(run)]).splitlines()[-1].startswith(f"{run.folder}: [Errno 13] Permission denied")


def test_records_survive_a_half_written_line_and_rewind(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    for step in (1, 2, 4, 8):
        run.log({"step": step, "wasserstein": 0.1})
        run.sample_path(step).write_bytes(b"")
    with run.metrics.open("a") as file:
        file.write('{"step": 16, "wass')
    assert [record["step"] for record in run.records()] == [1, 2, 4, 8]
    run.rewind(4, keep_record=True, keep_picture=True)
    assert [record["step"] for record in run.records()] == [1, 2, 4]
    assert [path.stem for path in run.sample_paths()] == ["00000001", "00000002", "00000004"]
    assert run.metrics.read_text().count("\n") == 3


def test_numbers_in_files_are_finite(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        make(tmp_path / "r").log({"step": 1, "wasserstein": float("nan")})


def test_a_save_gives_tensors_and_counters_back(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    last = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    run.save({"a.b": last, "n": torch.tensor(3)}, {"step": 7, "seconds": 0.1})
    tensors, counters = run.restore()
    assert counters == {"step": 7, "seconds": 0.1}
    assert torch.equal(tensors["a.b"], last) and tensors["a.b"].is_contiguous()
    assert tensors["n"].item() == 3


def test_no_save_and_a_broken_save_are_told_apart(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    with pytest.raises(WganError, match="no save to go on from"):
        run.restore()
    (run.folder / "checkpoints" / "last.safetensors").write_bytes(b"xx")
    with pytest.raises(WganError, match="cannot be read"):
        run.restore()
    with pytest.raises(WganError, match="does not exist; training writes it"):
        run.generator  # noqa: B018


@pytest.mark.parametrize("where", [-600, 400])
def test_a_save_that_is_damaged_is_refused(where: int, tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    run.save({"a": torch.randn(4000), "b": torch.ones(2, dtype=torch.bfloat16)}, {"step": 7})
    place = run.folder / "checkpoints" / "last.safetensors"
    content = bytearray(place.read_bytes())
    content[where : where + 4] = bytes(4)
    place.write_bytes(content)
    with pytest.raises(WganError, match=r"last\.safetensors is damaged: .* restore a copy of it, or train a new run"):
        run.restore()


@pytest.mark.parametrize("line", ['{"step": "100"}', '{"step": 1e999}', '{"step": 1.5}', "[1]", "{}", '{"step": true}'])
def test_a_line_that_is_no_record_is_named(line: str, tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    run.metrics.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(
        WganError, match=r"metrics\.jsonl, line 2, is not a record of measurements; delete that line\.$"
    ):
        run.records()


def test_what_a_killed_writer_left_goes_when_a_run_goes_on(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom wgan.files import write_atomically\n"
        "def write(path):\n"
        "    (path.parent / '.tmpx').write_text('as safetensors does')\n"
        "    path.write_text('half')\n"
        "    os._exit(9)\n"
        "write_atomically(Path(sys.argv[1]), write)"
    )
    for name in ("generator.safetensors", "samples/00000001.png", "checkpoints/last.safetensors"):
        assert subprocess.run([sys.executable, "-c", code, run.folder / name], check=False).returncode == 9
    assert len(list(run.folder.rglob("*.part"))) == 3
    run.rewind(0, keep_record=True, keep_picture=True)
    assert list(run.folder.rglob(".*")) == []
    assert sorted(path.name for path in run.folder.iterdir() if path.is_dir()) == ["checkpoints", "samples"]


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")

    def half(path: Path) -> None:
        path.write_text("new, but")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a.txt", half)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    save_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(1)}, {})
    write_text(tmp_path / "t.txt", "")
    (tmp_path / "usual").touch()
    modes = {(tmp_path / name).stat().st_mode for name in ("t.safetensors", "t.txt", "usual")}
    assert len(modes) == 1


def saved_model(path: Path, shape: tuple[int, ...], units: Units) -> Model:
    latent = Latent(5, "uniform")
    family = "mlp" if len(shape) == 1 else "dcgan"
    generator = make_generator(family, shape, latent, width=8)
    network = {
        "family": family,
        "shape": list(shape),
        "latent": {"size": 5, "kind": "uniform"},
        "options": {"width": 8} | generator.settled,
    }
    save_model(path, generator.state_dict(), network, units)
    return Model(generator, units)


def test_a_generator_file_is_all_a_stranger_needs(tmp_path: Path) -> None:
    made = saved_model(tmp_path / "g.safetensors", (3, 9, 7), Units())
    model = Model.load(tmp_path / "g.safetensors")
    z = torch.rand(4, 5)
    assert torch.equal(model(z), made(z)) and model(z).shape == (4, 3, 9, 7)
    images = model.sample(6, seed=1)
    assert images.dtype == np.uint8 and images.shape == (6, 9, 7, 3)
    expected = ((made(z) + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).byte().numpy()
    assert np.array_equal(Units().to_user(model(z)), expected)


def test_vectors_come_back_in_their_own_units(tmp_path: Path) -> None:
    mean, scale = np.array([100.0, -3.0]), np.array([5.0, 0.1])
    made = saved_model(tmp_path / "g.safetensors", (2,), Units(mean, scale))
    block = made.latent.draw(256, torch.Generator().manual_seed(0))
    model = Model.load(tmp_path / "g.safetensors")
    assert np.allclose(model.units.to_user(model(block)), made(block).double().numpy() * scale + mean, rtol=1e-5)


def test_a_sample_does_not_hang_on_how_many_are_drawn(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "g.safetensors", (1, 8, 8), Units())
    many = model.sample(600, seed=3)
    assert np.array_equal(model.sample(3, seed=3), many[:3])
    assert np.array_equal(np.concatenate(list(model.stream(300, seed=3))), many[:300])
    assert not np.array_equal(model.sample(3, seed=4), many[:3])


@pytest.mark.parametrize("content", [b"", b"not a file of ours", None])
def test_what_is_no_generator_is_said(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WganError, match="is not a generator that wgan has saved"):
        Model.load(path)


def test_a_file_of_another_kind_is_told_by_what_is_not_in_it(tmp_path: Path) -> None:
    run, trainer = make(tmp_path / "r"), tiny_trainer()
    for path in (tmp_path / "t.safetensors", tmp_path / "r" / "checkpoints" / "last.safetensors"):
        save_tensors(path, {"a": torch.zeros(1)}, {"other": 1})
    with pytest.raises(
        WganError, match=r"t\.safetensors is not a generator .* \(there is no 'network' in it\); name a run"
    ):
        Model.load(tmp_path / "t.safetensors")
    with pytest.raises(WganError, match=r"last\.safetensors cannot be read: there is no 'counters' in it; bring back"):
        run.restore()
    with pytest.raises(WganError, match=r"t\.safetensors is not what .* \(there is no 'counters' in it\); give a file"):
        load(trainer, tmp_path / "t.safetensors")
    with pytest.raises(
        WganError, match=r"no\.safetensors is not what a trainer has saved \(No such file.*; give a file"
    ):
        load(trainer, tmp_path / "no.safetensors")


@pytest.mark.parametrize(("version", "remedy"), [(99, "update wgan"), (2, "train a new run")])
def test_a_file_of_another_format_is_not_read(tmp_path: Path, version: int, remedy: str) -> None:
    save_tensors(tmp_path / "g.safetensors", {"a": torch.zeros(1)}, {"format_version": version})
    with pytest.raises(WganError, match=f"has format {version}, and this wgan reads 3; {remedy}"):
        Model.load(tmp_path / "g.safetensors")


def test_the_summary_is_empty_before_a_process_trains(tmp_path: Path) -> None:
    run = make(tmp_path / "r")
    assert run.summary == {}
    run.write_summary({"status": "finished"})
    assert json.loads((run.folder / "summary.json").read_text()) == run.summary == {"status": "finished"}


def test_the_next_number_is_above_all_that_are_taken(tmp_path: Path) -> None:
    for name in ("0002-a", "0007-b"):
        (tmp_path / name).mkdir()
    assert numbered_folder(tmp_path, "!!!").name == "0008-run"
    (tmp_path / "10000-c").mkdir()
    assert numbered_folder(tmp_path, "d").name == "10001-d"


@pytest.mark.parametrize(("kept", "left"), [(True, [1, 3]), (False, [1])])
def test_going_back_keeps_the_step_itself_unless_its_end_alone_made_it(
    kept: bool, left: list[int], tmp_path: Path
) -> None:
    run = Run.create(small_config(), tmp_path / "r", "r", {})
    for step in (5, 3, 1):
        run.sample_path(step).touch()
    for step in (1, 3, 5):
        run.log({"step": step})
    run.rewind(3, keep_record=kept, keep_picture=kept)
    assert [record["step"] for record in run.records()] == left
    assert [int(path.stem) for path in run.sample_paths()] == left


def test_a_numbered_folder_that_one_may_not_look_into_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0004-others").mkdir()

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    assert numbered_folder(tmp_path, "a").name == "0005-a"
