"""Whole runs: what they leave, and that they fail well."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import wgan
from toolbox import SMALL, Interrupter, assert_same, blobs, small_config, small_run, tensors, vectors
from wgan import loop, options
from wgan.build import make_trainer
from wgan.curves import curves
from wgan.data import open_data
from wgan.errors import UsageError, WganError
from wgan.loop.resuming import take_weights
from wgan.overview import closing, overview, overview_table
from wgan.pictures import animate
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.trainer.state import under
from wgan.view import View

pytestmark = pytest.mark.usefixtures("empty_drawings")


def test_what_a_run_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wgan.curves.curves", curves)  # none of the others looks at them
    monkeypatch.setattr("wgan.pictures.animate", animate)
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


def test_the_generator_that_a_run_leaves_is_the_average(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=6, catch_up=1, generator_lr=0.01)
    left, saved = load_file(run.folder / "generator.safetensors"), tensors(run)
    average, last = under("average", saved), under("generator", saved)
    assert left.keys() == average.keys() == last.keys()
    assert all(torch.equal(left[name], average[name]) for name in left)
    weights = [name for name in left if name.endswith("weight")]
    assert weights and not any(torch.allclose(left[name], last[name], rtol=1e-2) for name in weights)


def test_the_configuration_of_a_run_repeats_it(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    run = small_run(tmp_path / "a", str(tmp_path / "blobs.npy"))
    again = wgan.train(config=run.config_file, out=tmp_path / "b", quiet=True)
    assert_same(run, again)


@pytest.mark.parametrize("norm", ["generator_norm", "critic_norm"])
def test_batch_norm_of_a_single_sample_is_refused(norm: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch norm needs at least 2 samples"):
        small_run(
            tmp_path / "r", batch=1, constraint="clip", critic_depth=2, **{"generator_norm": "none", norm: "batch"}
        )


def test_batch_norm_measures_in_whole_batches(tmp_path: Path) -> None:
    changes = {"generator": "mlp", "critic": "mlp", "critic_norm": "batch", "constraint": "clip", "batch": 64}
    assert small_run(tmp_path / "r", vectors(650, 3), steps=1, **changes).summary["status"] == "finished"


def test_the_summary_says_while_a_run_trains(tmp_path: Path) -> None:
    class Reader(View):
        def tick(self, record: Any) -> None:
            told.append(Run.open(tmp_path / "r").summary["status"])

    told: list[str] = []
    loop.train(small_config(steps=2), source=blobs(), out=tmp_path / "r", view=Reader())
    assert set(told) == {"training"}


class Facts(View):
    """Keeps what it is told before training."""

    def facts(self, facts: Any) -> None:
        self.told = facts


def test_the_facts_name_the_folder_and_the_skipped_files(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(6):
        Image.fromarray(blobs(6, 16, 3)[i]).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    view = Facts()
    run = loop.train(small_config(data=str(tmp_path / "photos"), steps=2), out=tmp_path / "r", view=view)
    assert run.summary["steps"] == 2
    assert view.told["output"]["folder"] == str(tmp_path / "r")
    assert view.told["data"]["skipped"] == f"1 file; `wgan data {tmp_path / 'photos'}` names them"


def test_the_facts_count_the_skipped_items_of_an_object_which_no_command_reads(tmp_path: Path) -> None:
    stream, view = io.BytesIO(), Facts()
    Image.fromarray(blobs(1, 64, 3)[0]).save(stream, "png")
    items = [Image.open(io.BytesIO(stream.getvalue()[:end])) for end in (-30, *[None] * 5)]
    loop.train(small_config(steps=1), source=items, out=tmp_path / "r", view=view)
    assert view.told["data"]["skipped"] == "1 item"


@pytest.mark.parametrize(("half_life", "whose"), [(0, "generator"), (1000, "averaged generator")])
def test_the_facts_say_what_the_estimate_is_of(tmp_path: Path, half_life: int, whose: str) -> None:
    config, view = small_config(steps=1, catch_up=1, ema_half_life=half_life), Facts()
    loop.train(config, source=blobs(), out=tmp_path / "r", view=view)
    assert view.told["training"]["estimate"].startswith(f"of the {whose}, after 1 extra critic step, ")


@pytest.mark.parametrize(("fast", "words"), [(False, ", bf16 (very slow here), "), (True, ", bf16, ")])
def test_the_facts_say_where_bf16_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool, words: str
) -> None:
    monkeypatch.setattr("wgan.loop.facts.has_fast_bf16", lambda device: fast)
    view = Facts()
    loop.train(small_config(steps=1, precision="bf16"), source=blobs(), out=tmp_path / "r", view=view)
    assert words in view.told["training"]["device"]


def test_init_from_takes_weights_only(tmp_path: Path) -> None:
    first = small_run(tmp_path / "a", steps=6)
    second = loop.train(
        small_config(steps=1), source=blobs(), out=tmp_path / "b", init_from=first.folder, view=Interrupter(-1)
    )
    old, new = tensors(first), tensors(second)
    keys = [key for key in old if key.startswith("critic.") and key.endswith("weight")]
    assert all((old[key] - new[key]).abs().max() < 3e-3 for key in keys)  # two steps of Adam away
    assert second.summary["steps"] == 1
    loop.train(
        small_config(steps=1), source=blobs(), out=tmp_path / "c", init_from=first.folder / "generator.safetensors"
    )
    with pytest.raises(UsageError, match="--init-from: the networks of"):
        loop.train(small_config(generator_width=5), source=blobs(), out=tmp_path / "d", init_from=first.folder)


def new_trainer(seed: int) -> Trainer:
    config = small_config(seed=seed)
    return make_trainer(config, open_data(blobs(), config.data))[0]


def of_networks(trainer: Trainer) -> dict[str, dict[str, torch.Tensor]]:
    networks = {"generator": trainer.generator, "critic": trainer.critic, "average": trainer.average.module}
    return {name: {k: v.clone() for k, v in network.state_dict().items()} for name, network in networks.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one and one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_weights_of_a_run_are_those_of_its_last_save_and_nothing_else_of_it(tmp_path: Path) -> None:
    run, trainer = small_run(tmp_path / "a", steps=4, catch_up=1, generator_lr=0.01), new_trainer(seed=7)
    saved, before = tensors(run), of_networks(trainer)
    assert not any(same(before[name], under(name, saved)) for name in before)
    take_weights(trainer, run.folder)
    taken = of_networks(trainer)
    assert same(taken["critic"], under("critic", saved)) and same(taken["generator"], under("generator", saved))
    assert same(taken["average"], under("generator", saved))  # which begins anew
    assert not trainer.critic_optimizer.state and not trainer.generator_optimizer.state
    assert (trainer.step, trainer.critic_updates, trainer.seconds) == (0, 0, 0)


def test_a_generator_alone_leaves_the_critic_as_it_is(tmp_path: Path) -> None:
    run, trainer = small_run(tmp_path / "a", steps=4, catch_up=1, generator_lr=0.01), new_trainer(seed=7)
    before = of_networks(trainer)
    take_weights(trainer, run.folder / "generator.safetensors")
    file, taken = load_file(run.folder / "generator.safetensors"), of_networks(trainer)
    assert not same(before["generator"], file)
    assert same(taken["generator"], file) and same(taken["average"], file) and same(taken["critic"], before["critic"])


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
    assert f"last good save is step {run.restore()[1]['step']} in {run.folder}." in text
    assert all(tensor.isfinite().all() for name, tensor in tensors(run).items() if "ledger" not in name)


def test_numbers_are_checked_once_at_a_step_where_anything_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, check = list[int](), Trainer.check
    monkeypatch.setattr(Trainer, "check", lambda trainer: checked.append(trainer.step) or check(trainer))
    small_run(tmp_path / "r", steps=7, log_every="3", sample_every="5", save_every="2")
    assert checked == [1, 2, 3, 4, 5, 6, 7], "1 and 4: early records and pictures; 2: a save; 7: the end"


def test_a_divergence_is_told_even_if_the_last_save_cannot_be_read(tmp_path: Path) -> None:
    unreadable = mock.patch.object(Run, "restore", side_effect=OSError(5, "Input/output error"))
    with (
        unreadable,
        pytest.raises(WganError, match=r"became NaN .* its last good save is step 0 in .*/r\. Start a new"),
    ):
        small_run(tmp_path / "r", constraint="none", critic_lr=1e30)


def test_a_step_that_does_not_fit_into_memory_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(WganError, match=r"not enough memory for a training step.*--batch.*wgan resume"):
        small_run(tmp_path / "r", batch=10**14)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: out of memory")])
def test_so_is_memory_that_runs_out_later_and_other_errors_stay_what_they_are(error: Exception, tmp_path: Path) -> None:
    class Broken(View):
        def __init__(self, raised: Exception) -> None:
            self.raised = raised

        def step(self, share: float, step: int) -> None:
            if step == 3:
                raise self.raised

    for raised, expected in ((error, WganError), (RuntimeError("a fault of ours"), RuntimeError)):
        with pytest.raises(expected, match=r"not enough memory|a fault of ours"):
            loop.train(small_config(), source=blobs(), out=tmp_path / expected.__name__, view=Broken(raised))


def test_a_dry_run_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loop.preview(small_config(), source=blobs(), out=tmp_path / "r", view=View())
    assert not list(tmp_path.glob("r*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"save_every": "banana"}, "--save-every: 'banana' is not an interval"),
        ({"steps": None, "time": "5"}, "--time: '5' is not a time"),
        ({"steps": None, "time": "5s", "decay": "linear"}, "--decay linear needs to know where it ends"),
        ({"init_from": "nope"}, "nope does not exist"),
        (
            {"constraint": "orthogonal", "weight": 0},
            "orthogonal weights: the weight is 0, but a critic whose slope is 0",
        ),
        ({"constraint": "clip", "every": 4}, "weight clipping: every is 4, but it holds at every step; leave it out"),
        ({"constraint": "gp+nope"}, "unknown constraint 'nope'"),
        ({"objective": "wasserstien"}, "unknown objective 'wasserstien'"),
        ({"generator": "dcgna"}, "unknown network family 'dcgna'"),
        ({"critic": "x"}, "unknown network family 'x'"),
        ({"device": "tpu"}, "'tpu'"),
        ({"optimizer": "rmsprop", "betas": (0.5, 0.9)}, "--betas: they are Adam's, and the optimizer is rmsprop"),
    ],
)
def test_a_mistyped_option_is_refused_before_data_are_read(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "open_data", lambda *_, **__: pytest.fail("the data are read"))
    init_from = changes.pop("init_from", None)
    given = {name: value for name, value in {**SMALL, **changes}.items() if value is not None}
    with pytest.raises(WganError, match=message):
        loop.train(options.make_config(given), source=blobs(), init_from=init_from)


@pytest.mark.parametrize("begin", [loop.train, loop.preview])
def test_a_folder_that_is_not_empty_is_refused_before_data_are_read(tmp_path: Path, begin: Callable[..., Any]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"--out: .* exists and is not empty"):
        begin(small_config(data="nowhere"), out=tmp_path, view=View())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(WganError, match="--out: cannot make the folder"):
        begin(small_config(data="nowhere"), out=tmp_path / "notes.txt", view=View())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None, "time": None}, "there is no budget"),
        ({"time": "1m", "decay": "linear"}, "--decay linear needs to know where it ends"),
        ({"log_every": "5s"}, "--log-every: give steps or epochs"),
        ({"critic_norm": "batch", "critic_depth": 2}, "norm='layer' or 'instance'"),
        (
            {"constraint": "clip", "critic": "mlp", "critic_norm": "batch", "held_out": 1},
            "batch norm in the critic needs at least 2 held-out samples",
        ),
        ({"constraint": "gp+lp", "weight": "1,2,3"}, "--weight: 3 values for 2 constraints"),
        ({"constraint": "orthogonal", "weight": "0"}, "orthogonal weights: the weight is 0"),
        ({"constraint": "clp"}, "Did you mean 'clip'"),
        ({"objective": "wassertein"}, "Did you mean 'wasserstein'"),
        ({"generator": "resnt"}, "Did you mean 'resnet'"),
        ({"device": "tpu9"}, "--device: 'tpu9' is not supported; use auto, cpu"),
        ({"device": "cuda:99"}, "device is 'cuda:99', which cannot be used here"),
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
    assert run.summary["status"] == "finished"
    assert any("memorise them" in note for note in view.notes)


def test_tensorboard_gets_scalars_and_pictures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = small_run(tmp_path / "r", tensorboard=True)
    events = EventAccumulator(str(run.tensorboard)).Reload()
    assert "wasserstein_heldout" in events.Tags()["scalars"] and "samples" in events.Tags()["images"]
    logged = [(event.step, pytest.approx(event.value)) for event in events.Scalars("critic_loss")]
    assert [(record["step"], record["critic_loss"]) for record in run.records()] == logged


def test_a_resumed_run_may_begin_to_write_tensorboard_files(tmp_path: Path) -> None:
    run = loop.resume(small_run(tmp_path / "r", steps=2), {"steps": 4, "tensorboard": True}, source=blobs())
    assert run.config.run.tensorboard and list(run.tensorboard.iterdir())


def test_options_of_a_resume_that_are_misspelt_get_the_nearest_that_may_change(tmp_path: Path) -> None:
    run = Run.create(small_config(), tmp_path / "r", "r", {})
    with pytest.raises(UsageError, match=r"^unknown option 'step'\. Did you mean 'steps'\? Known: steps, kimg, "):
        wgan.resume(run, blobs(), step=5000)
    with pytest.raises(UsageError, match=r"^--batch cannot change in a resumed run"):
        wgan.resume(run, blobs(), batch=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_python_is_told_by_which_command_processes_are_started(processes: int, tmp_path: Path) -> None:
    run = Run.create(small_config(processes=processes), tmp_path / "r", "r", {})
    told = f"wgan resume {run.folder} --processes 2, start the script with torchrun --nproc-per-node 2, or give"
    with pytest.raises(UsageError, match=told):
        wgan.resume(run, blobs(), **({"processes": 2} if processes == 1 else {}))
    with pytest.raises(UsageError, match="use the command line, wgan train --processes 2, start"):
        wgan.train(blobs(), out=tmp_path / "s", steps=1, processes=2)


def test_tensorboard_is_finished_however_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = mock.Mock()
    monkeypatch.setattr("wgan.loop.gallery.require_tensorboard", lambda: lambda *_, **__: board)
    with pytest.raises(WganError, match="critic_loss"):
        small_run(tmp_path / "r", tensorboard=True, constraint="none", critic_lr=1e30, steps=20)
    board.close.assert_called_once_with()


def test_training_does_not_mind_what_happens_to_its_records_meanwhile(tmp_path: Path) -> None:
    class Editor(View):
        def step(self, share: float, step: int) -> None:
            with (tmp_path / "r" / "metrics.jsonl").open("a") as file:
                file.write("\n")

    run = loop.train(small_config(steps=4), source=blobs(), out=tmp_path / "r", view=Editor())
    assert run.curves.is_file()
    assert run.summary["status"] == "finished" and run.summary["final"]["step"] == 4


@pytest.mark.parametrize(("estimate", "told"), [(0.4, True), (-0.4, True), (0.6, False)])
def test_an_estimate_below_its_noise_floor_is_said_to_be(estimate: float, told: bool, tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=1)
    final = run.summary["final"] | {"wasserstein_heldout": estimate, "noise_floor": 0.5}
    run.write_summary(run.summary | {"final": final})
    assert ("cannot be told from 0" in closing(run)) == told


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
