"""Runs stop and go on exactly, whatever stopped them."""

import json
import multiprocessing
import random
import shlex
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wgan
from toolbox import Interrupter, assert_same, blobs, small_config, small_run, tiny_trainer, vectors
from wgan import loop, options
from wgan.data import open_data
from wgan.errors import Stopped, UsageError, WganError
from wgan.loop.resuming import check_same_config, check_same_data, fingerprint, fixed_options
from wgan.model import read_tensors, save_tensors
from wgan.overview import closing, overview
from wgan.run import Run
from wgan.trainer.state import load, restore, save, snapshot
from wgan.view import View

pytestmark = pytest.mark.usefixtures("empty_drawings")


def narrow(preset: str) -> dict[str, Any]:
    """Options that make a preset's networks sixteen times as narrow, and large pictures smaller."""
    fewer: dict[str, Any] = {}
    for name, value in options.flatten(options.make_config(options.preset(preset), {})).items():
        if "width" in name:
            fewer[name] = value // 16 if isinstance(value, int) else tuple(max(2, width // 16) for width in value)
    return fewer | ({"size": (32, 32)} if preset.startswith("dcgan64") else {})


def interrupted(out: Path, step: int, source: Any, number: int = signal.SIGINT, **changes: Any) -> Run:
    with pytest.raises(Stopped) as stop:
        loop.train(small_config(**changes), source=source, out=out, view=Interrupter(step, number))
    run = Run.open(out)
    assert stop.value.signal == number and str(stop.value).endswith(f"go on with: wgan resume {run.quoted}")
    assert run.summary["status"] == "interrupted"
    return run


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(step: int, number: int, tmp_path: Path) -> None:
    changes = {"decay": "linear", "critic_dropout": 0.2, "every": 2, "flip": True}
    whole = small_run(tmp_path / "whole", **changes)
    broken = interrupted(tmp_path / "broken", step, blobs(), number, **changes)
    loop.resume(broken, {}, source=blobs())
    assert_same(whole, broken)


def test_a_run_inside_its_data_goes_on(tmp_path: Path) -> None:
    for number, image in enumerate(blobs(40)):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    run = small_run(tmp_path / "runs" / "1", str(tmp_path), steps=6)
    assert run.reals.is_file() and run.sample_paths()
    assert loop.resume(run, {"steps": 8}).summary["steps"] == 8


@pytest.mark.parametrize("constraint", ["clip", "spectral", "gp", "r1+r2", "spectral+gp", "orthogonal"])
def test_every_kind_of_state_goes_on(constraint: str, tmp_path: Path) -> None:
    optimizer = "rmsprop" if constraint == "clip" else "adam"
    changes = {"constraint": constraint, "optimizer": optimizer, "critic_norm": "none", "instance_noise": 0.1}
    whole = small_run(tmp_path / "whole", **changes)
    broken = interrupted(tmp_path / "broken", 5, blobs(), **changes)
    assert_same(whole, loop.resume(broken, {}, source=blobs()))


@pytest.mark.parametrize("name", options.presets())
def test_every_preset_goes_on_bit_for_bit_with_a_decay(name: str, tmp_path: Path) -> None:
    lighter = {"batch": 4, "warmup_critic_steps": 3, "critic_steps": 2, "catch_up": 2, **narrow(name)}
    given = {"steps": 6, "log_every": "2", "sample_every": "3", "decay": "linear", "threads": 1, **lighter}
    config = options.make_config(options.preset(name), given)
    source = blobs(24, config.data.size[0] if config.data.size else 28)
    whole = loop.train(config, source=source, out=tmp_path / "whole")
    assert whole is not None
    with pytest.raises(Stopped):
        loop.train(config, source=source, out=tmp_path / "broken", view=Interrupter(3))
    assert_same(whole, loop.resume(Run.open(tmp_path / "broken"), {}, source=source))
    samples = [path.read_bytes() for path in whole.sample_paths()]
    assert len(set(samples)) > 1


def test_resume_goes_on_past_the_end_and_restarts_a_decay_that_has_ended(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", decay="linear", steps=6)
    view = Interrupter(-1)
    loop.resume(run, {"steps": 12}, source=blobs(), view=view)
    assert [note for note in view.notes if "start again from step 6 and reach 0 at step 12" in note]
    rates = {record["step"]: record["critic_lr"] for record in run.records()}
    assert rates[8] == pytest.approx(1e-4 * (1 - 1 / 6))
    assert run.records()[-1]["step"] == 12
    assert run.config.run.steps == 12


def test_a_decay_that_has_not_ended_moves_its_end(tmp_path: Path) -> None:
    run = interrupted(tmp_path / "r", 4, blobs(), decay="linear", steps=8)
    view = Interrupter(-1)
    loop.resume(run, {"steps": 16}, source=blobs(), view=view)
    assert any("now fall to 0 at step 16 instead of 8" in note for note in view.notes)
    rates = {record["step"]: record["critic_lr"] for record in run.records()}
    assert rates[12] == pytest.approx(1e-4 * (1 - 11 / 16))


def test_resume_changes_budget_intervals_threads_and_device_and_nothing_else(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    for name in set(options.all_fields()) - set(options.RESUMABLE):
        with pytest.raises(UsageError, match="cannot change in a resumed run"):
            loop.resume(run, {name: "1"}, source=blobs())
    loop.resume(
        run, {"steps": 8, "log_every": "1", "sample_every": "8", "save_every": "2", "threads": 1}, source=blobs()
    )
    assert [record["step"] for record in run.records()] == [1, 4, 5, 6, 7, 8]


def test_a_finished_run_that_goes_on_equals_one_that_never_stopped(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole", steps=13, log_every="3", sample_every="5")
    longer = small_run(tmp_path / "longer", steps=7, log_every="3", sample_every="5")
    assert_same(whole, loop.resume(longer, {"steps": 13}, source=blobs()))


def test_a_run_that_stopped_where_it_shall_end_now_has_the_record_and_picture_of_its_end(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole", steps=7, log_every="3", sample_every="5")
    run = interrupted(tmp_path / "r", 7, blobs(), steps=13, log_every="3", sample_every="5")
    assert_same(whole, loop.resume(run, {"steps": 7}, source=blobs()))


def test_other_intervals_neither_repeat_nor_lose_what_was_made_where_a_run_stopped(tmp_path: Path) -> None:
    changes = {"steps": 8, "log_every": "2", "sample_every": "4"}
    run = interrupted(tmp_path / "ended", 4, blobs(), **changes, objective="non-saturating")
    loop.resume(run, {"steps": 4, "log_every": "3", "sample_every": "3"}, source=blobs())
    loop.resume(run, {"steps": 6}, source=blobs())
    assert [record["step"] for record in run.records()] == [1, 2, 4, 6]
    assert all(record["critic_loss"] for record in run.records())
    assert [int(path.stem) for path in run.sample_paths()] == [0, 1, 4, 6]
    run = interrupted(tmp_path / "killed", 4, blobs(), **changes)
    run.write_config(options.make_config(options.flatten(run.config), {"log_every": "5", "sample_every": "5"}))
    loop.resume(run, {}, source=blobs())  # as after a resume with those that was killed before it saved
    assert [record["step"] for record in run.records()] == [1, 2, 4, 5, 8]
    assert [int(path.stem) for path in run.sample_paths()] == [0, 1, 4, 5, 8]


def test_a_save_that_is_due_at_the_end_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps, save_run = list[int](), Run.save
    monkeypatch.setattr(
        Run, "save", lambda run, t, counters: steps.append(counters["step"]) or save_run(run, t, counters)
    )
    small_run(tmp_path / "r", steps=4, save_every="2")
    assert steps == [0, 1, 2, 4]


def test_a_run_in_which_another_process_trains_is_refused_before_its_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(tmp_path / "r", steps=4)
    monkeypatch.setattr(loop, "open_data", lambda *_, **__: pytest.fail("the data are read"))
    with run.lock(), pytest.raises(WganError, match="another process is training in"):
        loop.resume(run, {"steps": 8}, source=blobs())


def test_a_kill_while_the_last_curves_are_drawn_leaves_no_record_of_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small_run(tmp_path / "whole", steps=13, log_every="3", sample_every="5")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("wgan.loop.gallery.Gallery.close", killed)
        small_run(tmp_path / "r", steps=7, log_every="3", sample_every="5")
    assert_same(whole, loop.resume(Run(tmp_path / "r"), {"steps": 13}, source=blobs()))


@pytest.mark.parametrize(("key", "value"), [("batch", 16), ("seed", 3), ("constraint", "lp"), ("generator_width", 5)])
def test_an_edited_configuration_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2)
    run.write_config(options.make_config(options.flatten(run.config), {key: value, "steps": 4}))
    with pytest.raises(UsageError, match=key):
        loop.resume(run, {}, source=blobs())


def test_a_save_from_before_an_option_was_there_is_not_called_edited(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2)
    saved = fixed_options(run.config)
    del saved["reuse"]
    check_same_config(saved, run.config, run)
    with pytest.raises(UsageError, match="reuse"):
        check_same_config(saved, options.make_config(options.flatten(run.config), {"reuse": True}), run)


def test_a_killed_run_is_called_so(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2)
    run.write_summary({**run.summary, "status": "training"})
    assert overview(run)["status"] == "killed"
    run.metrics.write_text("[1]\n")
    assert overview(run)["status"] == "unreadable"
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "config.toml").write_text("[nonsense")
    assert overview(Run(tmp_path / "s"))["status"] == "unreadable"


def test_a_stop_that_comes_with_the_last_step_is_no_interruption(tmp_path: Path) -> None:
    run = loop.train(small_config(steps=3), source=blobs(), out=tmp_path / "r", view=Interrupter(3))
    assert run is not None and run.summary["status"] == "finished"


def test_a_budget_that_is_used_up_is_said(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(UsageError, match=r"used up its budget.*--steps 8"):
        loop.resume(run, {}, source=blobs())


def test_time_goes_on_where_it_was_saved() -> None:
    trainer, other = tiny_trainer(), tiny_trainer()
    trainer.clock.set(1234.5)
    trainer.last_record = 1200.25, 96
    saved, counters = snapshot(trainer)
    restore(other, saved, json.loads(json.dumps(counters)))
    assert other.seconds == 1234.5 and other.last_record == (1200.25, 96)
    other.advance()
    assert 1234.5 < other.seconds < 1294.5
    restore(other, saved, counters)  # back again, as after a divergence
    assert other.seconds == 1234.5


def test_a_trainer_of_own_networks_goes_on_from_a_file(tmp_path: Path) -> None:
    whole, first, second = tiny_trainer(), tiny_trainer(), tiny_trainer()
    first.critic_optimizer.param_groups[0]["lr"] = whole.critic_optimizer.param_groups[0]["lr"] = 0.01  # by hand
    for trainer, steps in ((whole, 6), (first, 3)):
        for _ in range(steps):
            trainer.advance()
    save(first, tmp_path / "t.safetensors")
    load(second, str(tmp_path / "t.safetensors"))
    for _ in range(3):
        second.advance()
    one, other = snapshot(whole)[0], snapshot(second)[0]
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert second.critic_optimizer.param_groups[0]["lr"] == 0.01 != second.generator_optimizer.param_groups[0]["lr"]


def test_what_is_no_save_of_a_trainer_is_refused(tmp_path: Path) -> None:
    trainer, file = tiny_trainer(), tmp_path / "t.safetensors"
    for content in (b"", b"no tensors at all"):
        file.write_bytes(content)
        with pytest.raises(WganError, match="is not what a trainer has saved"):
            load(trainer, file)
    save_tensors(file, {"a": torch.zeros(1)}, {})
    with pytest.raises(WganError, match="is not what a trainer has saved"):
        load(trainer, file)


def test_tied_weights_can_be_saved(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    save_tensors(tmp_path / "t.safetensors", {"a": weight, "b": weight, "c": weight + 1}, {})
    found, _ = read_tensors(tmp_path / "t.safetensors")
    assert torch.equal(found["a"], weight) and torch.equal(found["b"], weight) and torch.equal(found["c"], weight + 1)


def test_a_save_of_another_optimizer_is_refused() -> None:
    saved, counters = snapshot(tiny_trainer())
    other = tiny_trainer(optimizer=lambda weights, rate: torch.optim.SGD(weights, lr=rate))
    with pytest.raises(WganError, match="the save is of the optimizer Adam, and this trainer has SGD"):
        restore(other, saved, counters)


def test_time_that_is_used_up_stays_used_up(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=None, time="0.2s")
    assert run.summary["seconds"] >= 0.2
    with pytest.raises(UsageError, match="used up its budget"):
        loop.resume(run, {}, source=blobs())


def test_images_per_second_are_counted_from_the_record_before_across_a_stop(tmp_path: Path) -> None:
    run = interrupted(tmp_path / "r", 3, blobs(), steps=6, log_every="2", catch_up=1)
    loop.resume(run, {}, source=blobs())
    marks = [(0.0, 0), *((record["seconds"], record["images"]) for record in run.records())]
    assert [images for _, images in marks] == [0, 16, 32, 64, 96]
    for record, (seconds, images) in zip(run.records(), marks[:-1], strict=True):
        expected = (record["images"] - images) / (record["seconds"] - seconds)
        assert record["images_per_second"] == pytest.approx(expected, rel=1e-9)


def test_a_run_on_an_object_goes_on_with_that_object_only(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(UsageError, match="the data were an object in Python; give it again"):
        loop.resume(run, {"steps": 8})
    with pytest.raises(UsageError, match="the data were an object in Python"):
        wgan.train(config=run.config_file, out=tmp_path / "again", quiet=True)


def test_a_run_is_found_and_goes_on_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    run = loop.train(small_config(data="blobs.npy", steps=2), out=tmp_path / "r")
    assert run is not None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert loop.resume(run, {"steps": 4}).summary["steps"] == 4


def test_data_that_has_moved_is_asked_for_and_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    run = loop.train(small_config(data="blobs.npy", steps=2), out=tmp_path / "r")
    assert run is not None
    Path("blobs.npy").rename("new.npy")
    with pytest.raises(WganError, match=r"is no longer at .*blobs\.npy; .* wgan resume .* --data PLACE"):
        loop.resume(run, {"steps": 3})
    assert any("is no longer at" in reason for reason in wgan.diagnose(run).not_looked_at)
    run.write_config(options.make_config(options.flatten(run.config), {"data": "new.npy"}))
    assert loop.resume(run, {"steps": 3}).config.data.data == str(tmp_path / "new.npy")
    Path("new.npy").rename("newer.npy")
    assert loop.resume(run, {"steps": 4, "data": "newer.npy"}).config.data.data == str(tmp_path / "newer.npy")
    Path("newer.npy").rename("newest.npy")
    assert wgan.diagnose(run, "newest.npy").not_looked_at == wgan.diagnose(run, blobs()).not_looked_at
    assert wgan.resume(run, Path("newest.npy"), quiet=True, steps=5).config.data.data == str(tmp_path / "newest.npy")
    assert wgan.resume(run, blobs(), quiet=True, steps=6).summary["steps"] == 6
    np.save("other.npy", 255 - blobs())
    with pytest.raises(WganError, match=r"not what it was trained on .*some samples are others"):
        wgan.resume(run, "other.npy", quiet=True, steps=7)
    with pytest.raises(WganError, match="some samples are others"):
        wgan.diagnose(run, "other.npy")


def test_a_folder_of_data_sets_is_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = small_config(data="ring", data_dir="sets", generator="mlp", critic="mlp", steps=2)
    run = loop.train(config, out=tmp_path / "r")
    assert run is not None and run.config.data.data_dir == str(tmp_path / "sets")
    assert loop.resume(run, {"steps": 3, "data_dir": "others"}).config.data.data_dir == str(tmp_path / "others")


def test_a_run_killed_before_its_first_save_begins_again(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole")
    killed, view = Run.create(whole.config, tmp_path / "killed", "x", {}), Interrupter(-1)
    assert_same(whole, loop.resume(killed, {}, source=blobs(), view=view))
    assert view.notes[0] == "going on from the beginning: nothing was saved yet."


@pytest.mark.parametrize("gone", [[], ["generator.safetensors"], ["metrics.jsonl"]])
def test_a_run_whose_save_is_missing_is_refused_and_loses_nothing(gone: list[str], tmp_path: Path) -> None:
    run, view = small_run(tmp_path / "r", steps=4), Interrupter(-1)
    for name in ["checkpoints/last.safetensors", *gone]:
        (run.folder / name).unlink()
    before = contents(run.folder)
    with pytest.raises(
        WganError, match=r"no save to go on from \(checkpoints/last.safetensors is missing\); bring it b"
    ):
        loop.resume(run, {"steps": 6}, source=blobs(), view=view)
    assert contents(run.folder) == before and not any("going on" in note for note in view.notes)


def test_other_data_are_refused_where_no_save_tells_them_from_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", blobs())
    np.save(tmp_path / "b.npy", 255 - blobs())
    config = small_config(data=str(tmp_path / "a.npy"))
    killed = Run.create(config, tmp_path / "killed", "x", {})
    with pytest.raises(WganError, match=r"no save yet.*b\.npy is .*a\.npy, the data it was begun with"):
        loop.resume(killed, {}, source=tmp_path / "b.npy")
    assert loop.resume(killed, {}, source=tmp_path / "a.npy").summary["status"] == "finished"


@pytest.mark.parametrize("writable", [True, False])
def test_a_run_that_fails_says_so_and_goes_on(writable: bool, tmp_path: Path) -> None:
    class Full(View):
        def tick(self, record: Mapping[str, Any]) -> None:
            if record["step"] == 4:
                if not writable:
                    patched.setattr(Run, "write_summary", full_disk)
                full_disk()

    def full_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    run = Run(tmp_path / "r")
    told = r"No space left on device; fix that, and go on with: wgan resume .*/r$"
    with pytest.MonkeyPatch.context() as patched, pytest.raises(WganError, match=told):
        loop.train(small_config(), source=blobs(), out=run.folder, view=Full())
    assert overview(run)["status"] == ("failed: [Errno 28] No space left on device" if writable else "killed")
    assert_same(small_run(tmp_path / "whole"), loop.resume(run, {}, source=blobs()))


def test_a_run_killed_after_its_last_save_is_finished(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r")
    run.write_summary({**run.summary, "status": "training"})
    run.curves.unlink()
    run.animation.unlink()
    loop.resume(run, {}, source=blobs())
    assert run.summary["status"] == "finished" and run.curves.is_file() and run.animation.is_file()
    assert [record["step"] for record in run.records()] == [1, 4, 8, 12]


def test_data_that_has_changed_is_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(WganError, match="has changed"):
        loop.resume(run, {"steps": 8}, source=255 - blobs())
    with pytest.raises(WganError, match=r"has changed.*number to train on was 58 and is 54.*--init-from"):
        loop.resume(run, {"steps": 8}, source=blobs(60))


@pytest.mark.parametrize("kind", ["pictures", "vectors"])
def test_a_single_sample_that_has_changed_is_noticed_wherever_it_is(kind: str, tmp_path: Path) -> None:
    before = blobs(400) if kind == "pictures" else vectors(400)
    family = "dcgan" if kind == "pictures" else "mlp"
    run = small_run(tmp_path / "r", before, steps=2, generator=family, critic=family)
    data = open_data(before, run.config.data)
    check_same_data(fingerprint(data), open_data(before.copy(), run.config.data), run)
    swapped = before.copy()
    swapped[[300, 301]] = swapped[[301, 300]]
    other = open_data(swapped, run.config.data)
    with pytest.raises(WganError, match="has changed"):
        loop.resume(run, {"steps": 4}, source=swapped)
    with pytest.raises(WganError, match="some samples are others, or in another order"):
        check_same_data(fingerprint(data), other, run)


OFTEN = {"steps": 60, "log_every": "3", "sample_every": "10", "save_every": "7"}


def train_or_resume(folder: Path, begun: Any) -> None:
    begun.set()
    if (folder / "config.toml").exists():
        loop.resume(Run.open(folder), {}, source=blobs())
    else:
        loop.train(small_config(**OFTEN), source=blobs(), out=folder)


@pytest.mark.slow
def test_kill_9_in_twenty_random_moments_loses_nothing_but_the_steps_since_the_last_save(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole", **OFTEN)
    folder = tmp_path / "killed"
    context = multiprocessing.get_context("forkserver")  # which loads all this once, and not for each of the twenty
    context.set_forkserver_preload(["wgan.loop", "wgan.curves", "scipy.stats"])
    moments, kills = random.Random(0), 0
    while kills < 20:
        begun = context.Event()
        child = context.Process(target=train_or_resume, args=(folder, begun))
        child.start()
        assert begun.wait(60)
        time.sleep(moments.uniform(0, 0.5))
        child.kill()
        child.join()
        assert child.exitcode in (0, -signal.SIGKILL)
        kills += child.exitcode == -signal.SIGKILL
        if child.exitcode == 0:
            assert_same(whole, Run.open(folder))
            shutil.rmtree(folder)
    train_or_resume(folder, context.Event())
    assert_same(whole, Run.open(folder))


def test_a_total_below_what_an_interrupted_run_has_done_is_refused_and_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "r"
    with pytest.raises(Stopped):
        loop.train(small_config(steps=40), source=blobs(), out=out, view=Interrupter(9))
    before = contents(out)
    (out / "summary.json").unlink()  # as after kill -9 before any stop
    del before[out / "summary.json"]
    with pytest.raises(UsageError, match=r"is at step 9, beyond the 5 that"):
        loop.resume(Run(out), {"steps": 5}, source=blobs())
    assert contents(out) == before


@pytest.mark.parametrize("content", ["{", "[1]", '{"seconds": "x"}'])
def test_a_damaged_summary_makes_one_line_unreadable_until_the_run_goes_on(tmp_path: Path, content: str) -> None:
    run = small_run(tmp_path / "r", steps=2)
    (run.folder / "summary.json").write_text(content)
    assert overview(run)["status"] == "unreadable"
    loop.resume(run, {"steps": 4}, source=blobs())
    assert overview(run)["status"] == "finished"


def test_steps_since_the_last_record_count(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        loop.train(small_config(steps=40, log_every="500"), source=blobs(), out=tmp_path / "r", view=Interrupter(9))
    assert overview(Run(tmp_path / "r"))["step"] == 9


def test_commands_can_be_pasted(tmp_path: Path) -> None:
    run = small_run(tmp_path / "two words", steps=2)
    (command,) = (line for line in closing(run).splitlines() if line.startswith("go on"))
    assert shlex.split(command)[4] == str(run.folder)
