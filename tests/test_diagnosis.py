"""Diagnoses: from records made by hand, from critics whose faults are known, and of whole runs."""

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

import wgan
from toolbox import Interrupter, blobs, picture_trainer, small_config, small_run, tiny_trainer, vectors
from wgan import loop, options
from wgan.confidence import stderr
from wgan.config import DataConfig
from wgan.constraints import R1, Constraint, GradientPenalty, LipschitzPenalty, Orthogonal, Sum, WeightClipping
from wgan.data import open_data
from wgan.diagnosis import FEWEST, LAG_SAMPLES, POOLED, Watch, _lag, diagnose, look_ahead, pooled
from wgan.errors import Stopped, WganError
from wgan.overview import closing
from wgan.registry import CONSTRAINTS
from wgan.run import Run
from wgan.schedule import Interval
from wgan.trainer.meter import Meter

pytestmark = pytest.mark.usefixtures("empty_drawings")

HEALTHY = {
    "wasserstein": 2.1, "wasserstein_heldout": 2.0, "wasserstein_stderr": 0.1, "gap": 0.1, "gap_stderr": 0.1,
    "gradient_norm": 1.0, "gradient_norm_fake": 0.9,
}  # fmt: skip


def records(count: int = 20, **changes: float | None) -> list[dict[str, Any]]:
    return [{"step": 100 * (i + 1), **HEALTHY, **changes} for i in range(count)]


def names(found: list[Any], fault: bool = True) -> list[str]:
    return [finding.name for finding in found if finding.fault == fault]


@pytest.mark.parametrize(
    ("constraint", "changes", "faults", "notes"),
    [
        (GradientPenalty(), {}, [], []),
        (LipschitzPenalty(), {"gradient_norm": 0.7}, [], []),
        (LipschitzPenalty(), {"gap": 0.9, "gap_stderr": 0.2, "wasserstein_heldout": 1.2}, ["overfit"], []),
        (LipschitzPenalty(), {"gap": 0.9, "gap_stderr": 0.4}, [], []),  # within three errors
        (LipschitzPenalty(), {"gap": 0.29, "gap_stderr": 0.05}, [], []),  # certain, but less than 15 %
        (LipschitzPenalty(), {"gap": 0.31, "gap_stderr": 0.05}, ["overfit"], []),
        (LipschitzPenalty(), {"wasserstein_heldout": -0.3}, ["negative"], []),
        (LipschitzPenalty(), {"wasserstein_heldout": -0.1}, [], []),
        (LipschitzPenalty(), {"gradient_norm_fake": 0.01}, ["starved"], []),
        (WeightClipping(), {"gradient_norm": 1e-3, "gradient_norm_fake": 9e-4}, [], ["lipschitz"]),
        (WeightClipping(), {"gradient_norm": 1e-3, "gradient_norm_fake": 1e-5}, ["starved"], ["lipschitz"]),
        (GradientPenalty(), {"gradient_norm": 1.3}, ["lipschitz"], []),
        (GradientPenalty(), {"gradient_norm": 0.4}, ["lipschitz"], []),
        (LipschitzPenalty(), {"gradient_norm": 0.4}, [], ["lipschitz"]),
        (Orthogonal(3.0), {"gradient_norm": 1.3}, [], ["lipschitz"]),
        (Orthogonal(3.0), {"gradient_norm": 2.0}, [], []),
        (Sum(GradientPenalty(), WeightClipping()), {"gradient_norm": 1.3}, ["lipschitz"], []),
    ],
)
def test_each_fault_is_found_and_nothing_else(
    constraint: Constraint, changes: dict[str, float], faults: list[str], notes: list[str]
) -> None:
    found = diagnose(records(**changes), constraint)
    assert (names(found), names(found, fault=False)) == (faults, notes)
    for finding in found:
        assert finding.advice and finding.text.endswith(".")
        for name, value in finding.evidence.items():
            assert value == pytest.approx({**HEALTHY, **changes}[name])


@pytest.mark.parametrize(("constraint", "other"), [(LipschitzPenalty(), False), (R1(), True), (Orthogonal(), False)])
def test_a_starved_generator_is_not_sent_where_it_is(constraint: Constraint, other: bool) -> None:
    finding = next(f for f in diagnose(records(gradient_norm_fake=0.01), constraint) if f.name == "starved")
    assert ("the constraint gp or lp" in finding.advice) == other and "a lower --critic-lr" in finding.advice


def test_the_last_slope_of_a_short_training_is_judged() -> None:
    steep = records(FEWEST, gradient_norm=5.0, gap=1.5, gap_stderr=0.1)[1:]
    assert diagnose(steep, LipschitzPenalty()) == []
    (finding,) = diagnose(steep, LipschitzPenalty(), ended=True)
    assert finding.name == "lipschitz" and finding.fault and "is 5 on average where" in finding.text
    assert diagnose([], LipschitzPenalty(), ended=True) == []
    assert diagnose(records(1, gradient_norm=0.04), GradientPenalty(), ended=True) == [], "a young critic is flat"
    assert diagnose(records(2), LipschitzPenalty(), ended=True) == []


def test_slack_says_by_what_factor_the_estimate_is_too_small() -> None:
    (finding,) = diagnose(records(gradient_norm=0.25), GradientPenalty())
    assert "too small by a factor of about 4:" in finding.text and finding.fault
    assert "--critic-steps" in finding.advice and "--weight" not in finding.advice, "any weight leads to a slope of 1"


@pytest.mark.parametrize("constraint", [LipschitzPenalty(), Orthogonal(), Orthogonal(3.0)])
def test_slack_that_a_constraint_allows_has_no_factor(constraint: Constraint) -> None:
    (finding,) = diagnose(records(gradient_norm=0.25), constraint)
    most = constraint.weight if isinstance(constraint, Orthogonal) else 1.0
    assert "may be too small: the critic's slope is 0.25" in finding.text and "factor" not in finding.text
    assert f"allows {most:g}" in finding.text
    assert "times the distance" not in finding.text, "scores are divided by what is allowed"


def test_one_noisy_record_makes_no_diagnosis() -> None:
    noisy = records(gap=0.0)
    noisy[-1] |= {"gap": 5.0, "wasserstein_heldout": -2.0}
    assert diagnose(noisy, LipschitzPenalty()) == []


def test_a_classic_gan_has_no_estimate_to_diagnose() -> None:
    none = dict.fromkeys(("wasserstein", "wasserstein_heldout", "wasserstein_stderr", "gap", "gap_stderr"))
    assert diagnose(records(**none), CONSTRAINTS["none"].load()()) == []


def test_medians_are_of_the_last_records_of_the_second_half() -> None:
    made = [{"step": i, "a": float(i), "b": None, "c": "text"} for i in range(1, 31)]
    assert pooled(made) == {"a": np.median(range(31 - POOLED, 31)), "step": np.median(range(31 - POOLED, 31))}
    assert pooled(made[:12])["a"] == np.median([6, 7, 8, 9, 10, 11, 12])
    assert pooled(made[: 2 * FEWEST])["a"] == np.median([3, 4, 5, 6])
    assert pooled(made[: 2 * FEWEST - 3]) == pooled([]) == {}


@pytest.mark.parametrize("end", [2000, 2600])  # what a slow machine takes in 2 and 3 minutes
def test_a_short_training_of_the_default_has_records_enough(end: int) -> None:
    interval = Interval.read(str(options.preset("default")["log_every"]), 1000, "--log-every")
    assert pooled([{"step": step, "a": 1.0} for step in range(1, end + 1) if interval.due(step) or step == end])


def test_a_fault_is_told_once() -> None:
    watch = Watch([], LipschitzPenalty())
    told = [watch(record) for record in records(30, gap=1.5)]
    assert [f.name for found in told for f in found] == ["overfit"]
    assert [len(found) for found in told].index(1) == 2 * FEWEST - 3
    resumed = Watch(records(30, gap=1.5), LipschitzPenalty())
    assert [resumed(record) for record in records(5, gap=1.5)] == [[]] * 5


def test_a_remark_of_a_name_does_not_hide_a_later_fault_of_it() -> None:
    watch = Watch(records(30, gradient_norm=0.1), LipschitzPenalty())
    assert names(diagnose(watch.records, LipschitzPenalty()), fault=False) == ["lipschitz"]
    told = [found for record in records(40, gradient_norm=5.0) for found in watch(record)]
    assert names(told) == ["lipschitz"]


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_the_scale_is_arbitrary_where_no_slope_is_promised(name: str) -> None:
    constraint: Constraint = CONSTRAINTS[name].load()()
    assert (constraint.slope is None) == (name not in ("gp", "lp", "orthogonal")) == bool(constraint.arbitrary_under)
    if not constraint.bounds:
        nothing = type(constraint)(0.0)  # a penalty of weight 0 punishes nothing
        assert nothing.slope is None and nothing.arbitrary_under
    assert constraint.certified == (name == "orthogonal")


def far_away(**changes: Any) -> wgan.Trainer:
    """A trainer whose critic knows nothing yet of a generator that makes points at distance 5 from the data."""
    trainer = tiny_trainer(constraint=Orthogonal(), critic_lr=0.02, **changes)
    with torch.no_grad():
        for weight in trainer.generator.parameters():
            weight.zero_()
        trainer.generator[2].bias[0] = 5.0
    trainer.average.module.load_state_dict(trainer.generator.state_dict())
    return trainer


def test_a_critic_lags_until_it_is_trained_and_the_bound_is_below_the_distance() -> None:
    trainer = far_away()
    data = open_data(vectors(), DataConfig())
    points = data.held_out.batch(torch.arange(data.held_out.size)).double()
    point = trainer.generator(torch.zeros(1, 3).double()).detach()
    distance = float((points - point).norm(dim=1).mean())  # all mass goes to one point
    lag, bound = look_ahead(trainer, data)
    assert lag.fault and "lags" in lag.text and lag.evidence["held_out_later"] > 2 * lag.evidence["held_out"]
    assert 0.5 * distance < bound.evidence["bound"] < bound.evidence["held_out"] <= distance
    assert "distance (of standardised vectors) is at least" in bound.text
    for _ in range(300):
        trainer.critic_step()
    assert not look_ahead(trainer, data)[0].fault


def test_lag_and_bound_are_about_the_average_and_begin_with_a_record() -> None:
    trainer, data = far_away(catch_up=10), open_data(vectors(), DataConfig())
    for _ in range(10):
        trainer.critic_step()
    with torch.no_grad():
        trainer.average.module[2].bias.fill_(1.0)
    lag, bound = look_ahead(trainer, data, steps=200)
    assert lag.evidence["held_out"] == trainer.record()["wasserstein_heldout"]  # the data are fewer than both look at
    meter = Meter(data, trainer.latent, trainer.batch, trainer.seed, trainer.to_device, samples=LAG_SAMPLES)
    with trainer.caught_up(200):
        _, real, fake = meter.scores(trainer.average.module, trainer.critic, trainer.step)
    assert lag.evidence["held_out_later"] == bound.evidence["held_out"] == float(real.mean() - fake.mean())


def test_a_critic_that_is_too_steep_is_compared_by_what_it_sees_at_slope_1() -> None:
    """A critic of slope 30 that shrinks to slope 1 sees less, but is not behind."""
    trainer, data = tiny_trainer(constraint=LipschitzPenalty(), critic_lr=0.01), open_data(vectors(), DataConfig())
    trainer.attach(data)
    for _ in range(200):
        trainer.critic_step()
    usual, _ = look_ahead(trainer, data, steps=1)
    with torch.no_grad():
        trainer.critic[-1].weight *= 30
    trainer.catch_up = 0
    lag, _ = look_ahead(trainer, data, steps=1)
    assert "divided by the critic's excess slope (3" in lag.text and not lag.fault
    assert lag.evidence["held_out"] == pytest.approx(usual.evidence["held_out"], rel=0.3)


def test_the_bound_of_pictures_is_in_other_units_than_their_distance() -> None:
    trainer = picture_trainer("orthogonal")
    _, bound = look_ahead(trainer, open_data(blobs(), DataConfig()), steps=1)
    assert (
        "(of pictures in [-1, 1]: twice what `wgan distance` says) has no lower bound above 0 with 99.9 %" in bound.text
    )
    assert bound.evidence["bound"] < 0  # after so few steps


def test_a_critic_without_a_certificate_says_why() -> None:
    trainer = tiny_trainer(constraint=LipschitzPenalty())
    trainer.critic[1] = nn.ELU()
    _, bound = look_ahead(trainer, open_data(vectors(), DataConfig()), steps=1)
    assert "no certified bound" in bound.text and "ELU" in bound.text and not bound.evidence


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() + str(path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_is_diagnosed_and_nothing_in_it_changes(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    run = small_run(tmp_path / "r", str(tmp_path / "blobs.npy"), steps=20, log_every="2")
    before = contents(run.folder)
    found = wgan.diagnose(run.folder)
    assert contents(run.folder) == before
    assert found.not_looked_at == () and found.step == 20
    assert {"lag", "bound"} <= {finding.name for finding in found.findings}
    assert json.loads(json.dumps(found.to_json()))["numbers"]["gap"] == pytest.approx(
        np.median([record["gap"] for record in run.records()[-6:]])
    )
    text = str(found)
    assert all(finding.text in text and finding.advice in text for finding in found.findings)
    assert ("Nothing is wrong" in text) == (not found.faults)
    assert f"{run.folder} after 20 generator steps\n" in text


def test_what_was_saved_after_the_last_record_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "blobs.npy", blobs())
    config = small_config(data=str(tmp_path / "blobs.npy"), steps=20, log_every="8")
    with pytest.raises(Stopped):
        loop.train(config, out=tmp_path / "r", view=Interrupter(9))
    found = wgan.diagnose(tmp_path / "r")
    assert (found.step, found.saved) == (8, 9)
    assert " after 8 generator steps; its networks after 9" in str(found)


def test_an_object_has_to_be_given_again(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r")
    found = wgan.diagnose(run)
    assert "records" in found.not_looked_at[0]
    assert found.not_looked_at[1].startswith("lag, bound: ") and "give it again" in found.not_looked_at[1]
    assert len(wgan.diagnose(run, blobs()).not_looked_at) == 1
    with pytest.raises(WganError, match="has changed"):
        wgan.diagnose(run, blobs(60))
    (run.metrics).unlink()
    with pytest.raises(WganError, match="no records yet"):
        wgan.diagnose(run)


def test_faults_are_told_while_training_and_at_its_end(tmp_path: Path) -> None:
    view = Interrupter(-1)
    config = small_config(steps=10, log_every="2", constraint="lp", weight="1e-9", critic_lr=0.02, catch_up=1)
    run = loop.train(config, source=blobs(), out=tmp_path / "r", view=view)
    late = [record["gradient_norm"] for record in run.records() if record["step"] >= 5]
    assert np.median(late) > 1.2  # where a slope of 1 is allowed
    faults = [finding for finding in run.summary["findings"] if finding["fault"]]
    assert [fault["name"] for fault in faults] == names(diagnose(run.records(), LipschitzPenalty())) == ["lipschitz"]
    assert faults[0]["text"].startswith(f"the estimate is about {np.median(late):.2g} times too large: ")
    told = [note for note in view.notes if "times too large" in note]
    assert len(told) == 1 and told[0].endswith(faults[0]["advice"])
    assert faults[0]["text"] in closing(Run.open(run.folder))
    assert f"wgan diagnose {run.folder}" in closing(run)


def test_a_run_that_diverged_is_not_called_right(tmp_path: Path) -> None:
    with pytest.raises(WganError, match="NaN or infinite") as told:
        small_run(tmp_path / "r", constraint="none", critic_lr=1e30)
    found = wgan.diagnose(Run(tmp_path / "r"), blobs())
    assert found.faults[0].name == "diverged" and "smaller learning rates (now --critic-lr 1e+30" in str(found)
    assert str(told.value).endswith(found.faults[0].advice)
    assert "NaN or infinite" in str(found) and "Nothing is wrong" not in str(found)
    assert json.dumps(found.to_json(), allow_nan=False)


def test_nothing_is_concluded_from_a_single_held_out_sample() -> None:
    trainer = tiny_trainer()
    data = trainer.attach(open_data(vectors(), DataConfig(held_out=1)))
    with pytest.raises(WganError, match="a single held-out sample does not tell"):
        look_ahead(trainer, data)


def test_nothing_is_concluded_from_a_critic_that_diverges() -> None:
    trainer = tiny_trainer(critic_lr=1e300)
    data = trainer.attach(vectors())
    trainer.critic_updates = 20  # as if it had gone on so far
    with pytest.raises(WganError, match="the critic diverges"):
        look_ahead(trainer, data)


def test_a_run_that_failed_is_not_called_right(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2)
    run.write_summary({**run.summary, "status": "failed: the disk is full"})
    said = str(wgan.diagnose(run, blobs()))
    assert "training failed: the disk is full" in said and "wgan resume" in said and "Nothing" not in said


def test_a_run_that_was_killed_is_not_called_right(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2)
    run.write_summary({**run.summary, "status": "training"})
    with run.lock(), mock.patch("wgan.checkup.diagnose", return_value=[]) as said:
        assert wgan.diagnose(run, blobs()).faults == ()
        assert said.call_args.kwargs == {"ended": False}
    with mock.patch("wgan.checkup.diagnose", return_value=[]) as said:
        (fault,) = wgan.diagnose(run, blobs()).faults
        assert said.call_args.kwargs == {"ended": True}
    assert fault.name == "killed" and fault.advice.endswith(f"Go on: wgan resume {run.folder}")


def test_nothing_is_not_called_right(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", steps=2, objective="minimax", constraint="none")
    assert "Nothing could be measured." in str(wgan.diagnose(run))  # its data were an object


def test_a_lag_is_a_share_of_what_is_found_later() -> None:
    assert not _lag(1.0, 1.55, 0.01, 120, (1.0, 1.0)).fault and _lag(1.0, 1.7, 0.01, 120, (1.0, 1.0)).fault
    assert "recorded estimates about 35 % too small" in _lag(1.0, 1.55, 0.01, 120, (1.0, 1.0)).text
    assert "the critic keeps up: 120" in _lag(1.0, 1.55, 0.5, 120, (1.0, 1.0)).text


def test_errors_of_lag_and_bound_are_those_of_the_compared_scores() -> None:
    trainer, data = tiny_trainer(constraint=LipschitzPenalty(), catch_up=0), open_data(vectors(), DataConfig())
    with torch.no_grad():
        trainer.critic[-1].weight *= 300
    lag, bound = look_ahead(trainer, data, steps=1)
    meter = Meter(data, trainer.latent, trainer.batch, trainer.seed, trainer.to_device, samples=LAG_SAMPLES)
    scores, factors = [], []
    for further in (0, 1):
        with trainer.caught_up(further):
            scores.append(meter.scores(trainer.average.module, trainer.critic, trainer.step)[1:])
            factors.append(meter.slope(trainer.average.module, trainer.critic, trainer.step))
    assert min(factors) > 1.2
    real, fake = (b / factors[1] - a / factors[0] for a, b in zip(*scores, strict=True))
    assert lag.evidence["rise_stderr"] == pytest.approx(stderr(real, fake))
    assert bound.evidence["held_out_stderr"] == pytest.approx(stderr(*scores[1]))
