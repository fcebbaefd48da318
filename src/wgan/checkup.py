"""A run as a whole: what its records say, and what a look at its networks adds. Nothing in it is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from wgan import options
from wgan.build import make_constraint, make_trainer
from wgan.data.samples import Data
from wgan.diagnosis import FEWEST, Finding, diagnose, look_ahead, pooled
from wgan.errors import WganError
from wgan.loop import open_source
from wgan.loop.facts import after_divergence
from wgan.loop.resuming import check_same_config, check_same_data
from wgan.machine.processor import set_threads
from wgan.run import Run
from wgan.trainer import Trainer
from wgan.trainer.state import restore, saved_decay
from wgan.view import View
from wgan.words import count, with_error


@dataclass(frozen=True)
class Diagnosis:
    """What measurements say of a run.

    Attributes:
        run: Its folder.
        step: The generator step of the last record.
        saved: That of the last save, whose networks are looked at; None if they are not.
        numbers: Medians of the last records.
        findings: What follows from them, faults first.
        not_looked_at: What could not be measured, and why.
    """

    run: str
    step: int
    saved: int | None
    numbers: Mapping[str, float]
    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that are faults."""
        return tuple(finding for finding in self.findings if finding.fault)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        later = f"; its networks after {self.saved:,}" if self.saved not in (None, self.step) else ""
        said = [f"{self.run} after {count(self.step, 'generator step')}{later}", *_numbers(self.numbers)]
        for finding in self.findings:
            said += ["", f"{finding.name}: {finding.text}"]
            evidence = ", ".join(f"{name} {value:.4g}" for name, value in finding.evidence.items())
            said += [f"  evidence: {evidence}"] if evidence else []
            said += [f"  what to do: {finding.advice}"] if finding.advice else []
        if not self.faults:
            seen = "Nothing is wrong that these measurements can show."
            said += ["", seen if self.numbers or self.findings else "Nothing could be measured."]
        return "\n".join([*said, *(f"not looked at: {reason}" for reason in self.not_looked_at)])


def check_up(run: Run, source: Any = None, view: View | None = None) -> Diagnosis:
    """Diagnose a run that has ended, or one that trains at this moment, from its records and its last save.

    Args:
        run: The run.
        source: The data, when it was given as an object or has moved.
        view: Where progress is shown.

    Raises:
        WganError: It has no records yet, or cannot be looked at with the data that are given.
    """
    records, config = run.records(), run.config
    findings, reasons = _broken(run), list[str]()
    if not records and not findings:
        raise WganError(f"{run.folder} has no records yet; train it first: wgan resume {run.quoted}")
    findings += diagnose(records, make_constraint(config.loss), ended=run.status != "training")
    numbers = pooled(records)
    if not numbers:
        reasons.append(f"overfit, negative, starved: they need {FEWEST} records of the second half of training.")
    ahead, saved, why_not = _looked_ahead(run, source, view or View())
    findings += ahead
    reasons += why_not
    ordered = sorted(findings, key=lambda finding: not finding.fault)
    step = records[-1]["step"] if records else run.summary["steps"]
    return Diagnosis(str(run.folder), step, saved, numbers, tuple(ordered), tuple(reasons))


def _looked_ahead(run: Run, source: Any, view: View) -> tuple[Sequence[Finding], int | None, list[str]]:
    """What further steps of the critic show, at which step they begin, and why they cannot be taken."""
    try:
        trainer, data = _restored(run, source, view)
    except WganError as error:
        if source is not None:  # which was named for this
            raise
        return (), None, [f"lag, bound: {error}"]
    if not trainer.objective.measures_distance:
        return (), None, []
    try:
        return look_ahead(trainer, data), trainer.step, []
    except WganError as error:
        return (), None, [f"lag, bound: {error}"]


def _broken(run: Run) -> list[Finding]:
    """What ended training, if it was a fault."""
    status, rates = run.status, run.config.optimizer
    if status == "killed":
        text = "training was killed: it says that it goes on, and no process holds the run."
        return [
            Finding(
                "killed", text, {}, f"If it was not you, look whether memory ran out. Go on: wgan resume {run.quoted}"
            )
        ]
    if status.startswith("failed"):
        return [Finding("failed", f"training {status}.", {}, f"Fix that, and go on: wgan resume {run.quoted}")]
    if not status.startswith("diverged"):
        return []
    evidence = {"critic_lr": rates.critic_lr, "generator_lr": rates.generator_lr}
    return [Finding("diverged", f"training {status}", evidence, after_divergence(run))]


def _restored(run: Run, source: Any, view: View) -> tuple[Trainer, Data]:
    """A trainer as the last save has it, on this machine, and its data."""
    tensors, counters = run.restore()
    config = options.make_config(options.flatten(run.config), {"device": "auto"})
    set_threads(config.run.threads)
    data, config = open_source(config, source, view, run)
    check_same_data(counters["data"], data, run)
    check_same_config(counters["config"], config, run)
    trainer, _ = make_trainer(config, data)
    trainer.decay = saved_decay(counters)
    restore(trainer, tensors, counters)
    return trainer, data


def _numbers(medians: Mapping[str, float]) -> list[str]:
    """The medians of the last records in words."""
    lines = []
    if "wasserstein_heldout" in medians:
        held_out = with_error(medians["wasserstein_heldout"], medians.get("wasserstein_stderr"))
        noise = f", of which noise may be {medians['noise_floor']:.2g}" if "noise_floor" in medians else ""
        train = f"{medians['wasserstein']:.3g}"
        lines.append(f"  Wasserstein estimate, median of late records: training {train}, held out {held_out}{noise}")
    if "gradient_norm" in medians:
        between, at_fake = medians["gradient_norm"], medians["gradient_norm_fake"]
        lines.append(f"  critic's slope: {between:.2g} between real and generated samples, {at_fake:.2g} at generated")
    return lines
