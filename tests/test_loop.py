"""Whole runs: what they leave, that they stop and go on exactly, and that they fail well."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wgan
from toolbox import SMALL, blobs, records, small_config, small_run, vectors
from wgan import loop, options
from wgan.errors import UsageError, WganError
from wgan.overview import closing, overview, overview_table
from wgan.restart import check_same_config, fixed_options
from wgan.run import Run
from wgan.view import View


class Interrupter(View):
    """Sends a signal to this process after a step, as Ctrl-C would."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = step, number
        self.notes: list[str] = []

    def step(self, share: float, step: int) -> None:
        if step == self.at:
            os.kill(os.getpid(), self.number)

    def note(self, text: str) -> None:
        self.notes.append(text)


def tensors(run: Run) -> dict[str, torch.Tensor]:
    return run.restore()[0]


def assert_same(one: Run, other: Run) -> None:
    """Bit for bit: weights, average, optimizers, metrics and pictures."""
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    assert records(one) == records(other)
    pictures = [{path.name: path.read_bytes() for path in run.sample_paths()} for run in (one, other)]
    assert pictures[0] == pictures[1]


def interrupted(out: Path, step: int, source: Any, number: int = signal.SIGINT, **changes: Any) -> Run:
    with pytest.raises(loop.Interrupted) as stop:
        loop.train(small_config(**changes), source=source, out=out, view=Interrupter(step, number))
    assert stop.value.signal == number
    assert stop.value.run.summary["status"] == "interrupted"
    return stop.value.run


def test_what_a_run_leaves(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r")
    names = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()} - {"lock"}
    steps = [0, 1, 4, 6, 12]
    assert names == {
        "config.toml", "environment.json", "metrics.jsonl", "reals.png", "progress.gif", "curves.png", "summary.json",
        "generator.safetensors", "checkpoints/last.safetensors", *(f"samples/{step:08d}.png" for step in steps),
    }  # fmt: skip
    assert [record["step"] for record in run.records()] == [1, 4, 8, 12]
    assert run.summary["status"] == "finished" and run.summary["steps"] == 12
    assert run.summary["images"] == 12 * 2 * 8
    assert run.generator.sample(3).shape == (3, 8, 8, 1)
    for path in (run.reals, run.curves, *run.sample_paths()):
        with Image.open(path) as picture:
            assert len(np.unique(np.asarray(picture))) > 2
    with Image.open(run.animation) as film:
        assert film.n_frames > 1


def test_the_configuration_of_a_run_repeats_it(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    run = small_run(tmp_path / "a", str(tmp_path / "blobs.npy"))
    again = wgan.train(config=run.config_file, out=tmp_path / "b", quiet=True)
    assert_same(run, again)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 5, 8])
def test_an_interrupted_run_goes_on_bit_for_bit(step: int, number: int, tmp_path: Path) -> None:
    changes = {"decay": "linear", "critic_dropout": 0.2, "every": 2, "flip": True}
    whole = small_run(tmp_path / "whole", **changes)
    broken = interrupted(tmp_path / "broken", step, blobs(), number, **changes)
    loop.resume(broken, {}, source=blobs())
    assert_same(whole, broken)


@pytest.mark.parametrize("constraint", ["clip", "spectral", "gp", "r1+r2", "spectral+gp", "orthogonal"])
def test_every_kind_of_state_goes_on(constraint: str, tmp_path: Path) -> None:
    optimizer = "rmsprop" if constraint == "clip" else "adam"
    changes = {"constraint": constraint, "optimizer": optimizer, "critic_norm": "none", "instance_noise": 0.1}
    whole = small_run(tmp_path / "whole", **changes)
    broken = interrupted(tmp_path / "broken", 5, blobs(), **changes)
    assert_same(whole, loop.resume(broken, {}, source=blobs()))


HEAVY = {"dcgan64-clip", "dcgan64-gp"}


@pytest.mark.parametrize("name", options.presets())
def test_every_preset_goes_on_bit_for_bit_with_a_decay(name: str, tmp_path: Path) -> None:
    steps = 4 if name in HEAVY else 6
    lighter = {"batch": 4, "warmup_critic_steps": 3, "critic_steps": 2}
    given = {"steps": steps, "log_every": "2", "sample_every": "3", "decay": "linear", "threads": 1, **lighter}
    config = options.make_config(options.preset(name), given)
    source = blobs(24, config.data.size[0] if config.data.size else 28)
    whole = loop.train(config, source=source, out=tmp_path / "whole")
    assert whole is not None
    with pytest.raises(loop.Interrupted) as stop:
        loop.train(config, source=source, out=tmp_path / "broken", view=Interrupter(steps // 2))
    assert_same(whole, loop.resume(stop.value.run, {}, source=source))


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
    assert longer.summary["only_at_the_end"] == ["record", "picture"]
    assert_same(whole, loop.resume(longer, {"steps": 13}, source=blobs()))


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


@pytest.mark.parametrize("norm", ["generator_norm", "critic_norm"])
def test_batch_norm_of_a_single_sample_is_refused(norm: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch norm needs at least 2 samples"):
        small_run(
            tmp_path / "r", batch=1, constraint="clip", critic_depth=2, **{"generator_norm": "none", norm: "batch"}
        )


def test_batch_norm_measures_in_whole_batches(tmp_path: Path) -> None:
    changes = {"generator": "mlp", "critic": "mlp", "critic_norm": "batch", "constraint": "clip", "batch": 64}
    assert small_run(tmp_path / "r", vectors(650, 3), steps=1, **changes).summary["status"] == "finished"


def test_a_budget_that_is_used_up_is_said(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(UsageError, match=r"used up its budget.*--steps 8"):
        loop.resume(run, {}, source=blobs())


def test_a_run_on_an_object_goes_on_with_that_object_only(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(UsageError, match="trained on an object in Python; give it again"):
        loop.resume(run, {"steps": 8})
    with pytest.raises(UsageError, match="trained on an object in Python"):
        wgan.train(config=run.config_file, out=tmp_path / "again", quiet=True)


def test_a_run_is_found_and_goes_on_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("blobs.npy", blobs())
    run = loop.train(small_config(data="blobs.npy", steps=2), out=tmp_path / "r")
    assert run is not None
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert loop.resume(run, {"steps": 4}).summary["steps"] == 4


def test_a_run_killed_before_its_first_save_begins_again(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole")
    killed = Run.create(whole.config, tmp_path / "killed", "x", {})
    assert_same(whole, loop.resume(killed, {}, source=blobs()))


def test_a_run_killed_after_its_last_save_is_finished(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r")
    run.write_summary({**run.summary, "status": "training"})
    run.curves.unlink()
    run.animation.unlink()
    loop.resume(run, {}, source=blobs())
    assert run.summary["status"] == "finished" and run.curves.is_file() and run.animation.is_file()
    assert [record["step"] for record in run.records()] == [1, 4, 8, 12]


def test_the_summary_says_while_a_run_trains(tmp_path: Path) -> None:
    class Reader(View):
        def tick(self, record: Any) -> None:
            told.append(Run.open(tmp_path / "r").summary["status"])

    told: list[str] = []
    loop.train(small_config(steps=2), source=blobs(), out=tmp_path / "r", view=Reader())
    assert set(told) == {"training"}


def test_the_facts_name_the_folder_and_the_skipped_files(tmp_path: Path) -> None:
    class Facts(View):
        def facts(self, facts: Any) -> None:
            told.update(facts)

    told: dict[str, Any] = {}
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(blobs(6, 16, 3)[i]).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    config = small_config(data=str(tmp_path / "photos"), steps=2)
    run = loop.train(config, out=tmp_path / "r", view=Facts())
    assert run is not None and run.summary["steps"] == 2
    assert told["output"]["folder"] == str(tmp_path / "r")
    assert told["data"]["skipped"].startswith("1 files")


def test_data_that_has_changed_is_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=4)
    with pytest.raises(WganError, match="has changed"):
        loop.resume(run, {"steps": 8}, source=255 - blobs())
    with pytest.raises(WganError, match=r"has changed.*--init-from"):
        loop.resume(run, {"steps": 8}, source=blobs(60))


def test_init_from_takes_weights_only(tmp_path: Path) -> None:
    first = small_run(tmp_path / "a", steps=6)
    second = loop.train(
        small_config(steps=1), source=blobs(), out=tmp_path / "b", init_from=first.folder, view=Interrupter(-1)
    )
    assert second is not None
    old, new = tensors(first), tensors(second)
    keys = [key for key in old if key.startswith("critic.") and key.endswith("weight")]
    assert all((old[key] - new[key]).abs().max() < 3e-3 for key in keys)  # two steps of Adam away
    assert second.summary["steps"] == 1
    third = loop.train(
        small_config(steps=1), source=blobs(), out=tmp_path / "c", init_from=first.folder / "generator.safetensors"
    )
    assert third is not None
    with pytest.raises(UsageError, match="--init-from: the networks of"):
        loop.train(small_config(generator_width=5), source=blobs(), out=tmp_path / "d", init_from=first.folder)


@pytest.mark.parametrize(
    "source", [vectors(), "ring", "grid", "swissroll"], ids=["vectors", "ring", "grid", "swissroll"]
)
def test_vectors_and_toys_get_scatter_plots(source: Any, tmp_path: Path) -> None:
    changes = {"generator": "mlp", "critic": "mlp", "generator_width": 8, "critic_width": 8}
    run = small_run(tmp_path / "r", source, steps=3, **changes)
    with Image.open(run.sample_paths()[-1]) as picture:
        assert picture.size == (800, 800)
    assert run.generator.sample(4).dtype == np.float32


def test_a_classic_gan_has_no_wasserstein_estimate(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", objective="non-saturating", constraint="none", steps=4)
    assert all(record["wasserstein"] is None and record["gap"] is None for record in run.records())
    assert all(record["penalty"] is None and record["generator_loss"] > 0 for record in run.records())


def test_a_run_that_diverges_keeps_its_last_good_save_and_says_what_to_try(tmp_path: Path) -> None:
    config = small_config(critic_lr=1e30, save_every="1", steps=50)
    with pytest.raises(WganError) as error:
        loop.train(config, source=blobs(), out=tmp_path / "r")
    text = str(error.value)
    assert "became NaN or infinite at generator step" in text
    assert "--critic-lr 1e+30" in text and "last good save is step" in text
    run = Run.open(tmp_path / "r")
    assert run.summary["status"].startswith("diverged")
    assert all(tensor.isfinite().all() for name, tensor in tensors(run).items() if "ledger" not in name)


def test_a_dry_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert loop.train(small_config(), source=blobs(), out=tmp_path / "r", dry_run=True) is None
    assert not list(tmp_path.glob("r*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None, "time": None}, "there is no budget"),
        ({"time": "1m", "decay": "linear"}, "--decay linear needs to know where it ends"),
        ({"log_every": "5s"}, "--log-every: give steps or epochs"),
        ({"critic_norm": "batch", "critic_depth": 2}, "norm='layer' or 'instance'"),
        ({"constraint": "gp+lp", "weight": "1,2,3"}, "--weight: 3 values for 2 constraints"),
        ({"constraint": "clp"}, "Did you mean 'clip'"),
        ({"objective": "wassertein"}, "Did you mean 'wasserstein'"),
        ({"generator": "resnt"}, "Did you mean 'resnet'"),
        ({"device": "tpu9"}, "--device: 'tpu9' cannot be used here"),
        ({"device": "cuda:99"}, "--device: 'cuda:99' cannot be used here"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = {k: v for k, v in {**SMALL, **changes}.items() if v is not None}
    if "time" in changes:
        given.pop("steps", None)
    with pytest.raises(UsageError) as error:
        loop.train(options.make_config(given), source=blobs(), out=tmp_path / "r")
    assert message in str(error.value)
    assert not (tmp_path / "r").exists()


def test_fewer_pictures_than_a_batch_train_with_a_note(tmp_path: Path) -> None:
    view = Interrupter(-1)
    run = loop.train(small_config(batch=32, steps=3), source=blobs(5), out=tmp_path / "r", view=view)
    assert run is not None and run.summary["status"] == "finished"
    assert any("learn them by heart" in note for note in view.notes)


def test_tensorboard_gets_scalars_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = small_run(tmp_path / "r", tensorboard=True)
    events = EventAccumulator(str(run.tensorboard)).Reload()
    assert "wasserstein_heldout" in events.Tags()["scalars"] and "samples" in events.Tags()["images"]
    logged = [(event.step, pytest.approx(event.value)) for event in events.Scalars("critic_loss")]
    assert [(record["step"], record["critic_loss"]) for record in run.records()] == logged


CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from toolbox import blobs, small_config
from wgan import loop
from wgan.run import Run
folder = Path(sys.argv[1])
config = small_config(steps=60, log_every="3", sample_every="10", save_every="7")
print("start", flush=True)
if (folder / "config.toml").exists():
    loop.resume(Run.open(folder), {{}}, source=blobs())
else:
    loop.train(config, source=blobs(), out=folder)
print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("constraint", "arbitrary"),
    [
        ("gp", None),
        ("clip", "weight clipping"),
        ("spectral", "spectral norm"),
        ("none", "no constraint"),
        ("orthogonal", None),
    ],
)
def test_an_arbitrary_scale_is_said(constraint: str, arbitrary: str | None, tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=1, constraint=constraint)
    assert run.summary["arbitrary_scale"] == arbitrary
    assert ("scale is arbitrary" in closing(run)) == bool(arbitrary)
    assert ("(arbitrary scale)" in overview_table([overview(run)])) == bool(arbitrary)


@pytest.mark.slow
def test_kill_9_in_twenty_random_moments_loses_nothing_but_the_steps_since_the_last_save(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole", steps=60, log_every="3", sample_every="10", save_every="7")
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", CHILD.format(tests=str(Path(__file__).parent)), str(folder)]
    moments, kills = random.Random(0), 0
    while kills < 20:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "start\n"
            time.sleep(moments.uniform(0, 0.5))
            child.kill()
            ended = "end" in child.stdout.read()
        kills += child.returncode == -signal.SIGKILL
        if ended:
            assert_same(whole, Run.open(folder))
            shutil.rmtree(folder)
    assert subprocess.check_output(command, text=True).endswith("end\n")
    assert_same(whole, Run.open(folder))
