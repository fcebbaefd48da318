"""The folder where training writes and everything else reads, and the names in it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from wgan import options
from wgan.config import Config
from wgan.data.samples import Units
from wgan.errors import UsageError, WganError
from wgan.files import CHECKPOINTS, RUN_CONFIG, at_home, claim, is_free, read_json, sweep, write_json, write_text
from wgan.model import Model, UnreadableError, read_tensors, save_model, save_tensors

_SUBFOLDERS = ("samples", CHECKPOINTS)


class Run:
    """A run's folder. Make one with :meth:`create`, find one with :meth:`open`.

    Attributes:
        folder: Where it is.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.folder = folder = at_home(folder)
        self.config_file = folder / RUN_CONFIG
        self.metrics = folder / "metrics.jsonl"
        self.reals = folder / "reals.png"
        self.curves = folder / "curves.png"
        self.animation = folder / "progress.gif"
        self.samples = folder / "samples"
        self.tensorboard = folder / "tensorboard"
        self._checkpoint = folder / CHECKPOINTS / "last.safetensors"
        self._generator = folder / "generator.safetensors"
        self._summary = folder / "summary.json"
        self._environment = folder / "environment.json"
        self._lock = folder / "lock"

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def quoted(self) -> str:
        """The folder as a shell takes it."""
        return shlex.quote(str(self.folder))

    @classmethod
    def create(
        cls, config: Config, out: str | PathLike[str] | None, name: str, environment: Mapping[str, Any]
    ) -> "Run":
        """Make a new run folder: ``out``, or the next free number under ``runs/``.

        Raises:
            UsageError: ``out`` exists and is not an empty folder; nothing in it is touched.
        """
        folder = numbered_folder(Path("runs"), name) if out is None else at_home(out)
        with _making():
            folder.mkdir(parents=True, exist_ok=True)
            run, claimed = cls(folder), claim(folder, _SUBFOLDERS[0])
        if not claimed:
            raise run._not_empty()
        for sub in _SUBFOLDERS:
            (folder / sub).mkdir(exist_ok=True)
        write_json(run._environment, environment)
        run.write_config(config)  # last, for it makes the folder a run: one that is killed here is none
        return run

    def check_empty(self) -> None:
        """Refuse, before any work, the folder that :meth:`create` would refuse, with the same errors."""
        with _making():
            free = is_free(self.folder)
        if not free:
            raise self._not_empty()

    def _not_empty(self) -> UsageError:
        go_on = f"or go on with it, if it is finished with a larger --time or --steps: wgan resume {self.quoted}"
        return UsageError(
            f"--out: {self.folder} exists and is not empty, and a run is never written over; "
            f"choose another folder, {go_on if self.config_file.is_file() else 'or empty it.'}"
        )

    @classmethod
    def open(cls, folder: "str | PathLike[str] | Run") -> "Run":
        """Find a run's folder; a run is returned as it is.

        Raises:
            UsageError: It is no path.
            WganError: It is not one.
        """
        if isinstance(folder, Run):
            return folder
        if not isinstance(folder, str | PathLike):
            raise UsageError(f"a run is named by its folder, and this is of type {type(folder).__name__}; give a path.")
        run = cls(at_home(folder))
        if not run.config_file.is_file():
            what = "is not a run's folder (it has no config.toml)" if run.folder.exists() else "does not exist"
            raise WganError(f"{folder} {what}; `wgan runs` lists the runs under runs/.")
        return run

    @property
    def config(self) -> Config:
        """The whole configuration that it trains with."""
        return options.make_config(options.read_toml(self.config_file))

    def write_config(self, config: Config) -> None:
        """Set the configuration."""
        write_text(self.config_file, options.to_toml(config))

    @contextmanager
    def lock(self, patience: float = 1.0) -> Iterator[None]:
        """Keep other processes from training here; a killed process lets go by itself.

        Args:
            patience: Seconds to wait for another process to let go, as one that only looks does at once.

        Raises:
            WganError: Another process is training here, or the folder cannot be written.
        """
        lock = FileLock(self._lock)
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise WganError(f"another process is training in {self.folder}; wait for it, or stop it first.") from None
        except OSError as error:
            raise WganError(f"{self.folder} cannot be written: {error.strerror}; copy it first.") from error
        try:
            yield
        finally:
            lock.release()

    @property
    def is_training(self) -> bool:
        """Whether a process trains here at this moment; True as well if the lock cannot be opened.

        A lock that one may not open, as in a folder of another user, tells nothing: then what the run says of itself is
        to be believed, rather than that it was killed. Nothing is made by looking.
        """
        if not self._lock.is_file():
            return False
        try:
            with self.lock(patience=0):
                return False
        except WganError:
            return True

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to ``metrics.jsonl``."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All records; a last line that a killed process left unfinished is passed over."""
        if not self.metrics.is_file():
            return []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        return [self._record(number, line) for number, line in enumerate(lines, 1) if line.endswith("\n")]

    def _record(self, number: int, line: str) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(line)
            if type(record["step"]) is not int:
                raise ValueError("a step is a whole number")
        except (ValueError, TypeError, KeyError) as error:
            raise WganError(
                f"{self.metrics}, line {number}, is not a record of measurements; delete that line."
            ) from error
        return record

    def sample_path(self, step: int) -> Path:
        """The picture of samples after a step."""
        return self.samples / f"{step:08d}.png"

    def sample_paths(self) -> list[Path]:
        """All pictures of samples, in the order of their steps."""
        return sorted(self.samples.glob("[0-9]" * 8 + ".png"))

    def rewind(self, step: int, keep_record: bool, keep_picture: bool) -> None:
        """Take away records and pictures of later steps, which are about to be made again, and what is half written.

        Args:
            step: The step to go back to.
            keep_record: Whether its own record stays, which is not so if only the end of training made it.
            keep_picture: Whether its own picture stays.
        """
        for folder in (self.folder, *(self.folder / sub for sub in _SUBFOLDERS)):
            sweep(folder)
        kept = [r for r in self.records() if r["step"] < step or (keep_record and r["step"] == step)]
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))
        for path in self.sample_paths():
            at = int(path.stem)
            if at > step or (at == step and not keep_picture):
                path.unlink()

    def save(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Save all that an exact continuation needs."""
        save_tensors(self._checkpoint, tensors, {"counters": dict(counters)})

    @property
    def was_saved(self) -> bool:
        """Whether the run was ever saved, even if the save is gone; only one that never was begins again."""
        return self._checkpoint.is_file() or self._generator.is_file() or bool(self.records())

    def restore(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read the last save.

        Raises:
            WganError: There is none, or it cannot be read.
        """
        again = f"wgan train --config {shlex.quote(str(self.config_file))}"
        if not self._checkpoint.exists():
            missing = f"{self._checkpoint.relative_to(self.folder)} is missing"
            raise WganError(
                f"{self.folder} has no save to go on from ({missing}); bring it back, or start again: {again}"
            )
        try:
            tensors, about = read_tensors(self._checkpoint, "counters")
        except UnreadableError as error:
            start = f"{again} --init-from {shlex.quote(str(self._generator))}"
            raise WganError(
                f"{self._checkpoint} cannot be read: {error}; bring back a copy, or begin with the average: {start}"
            ) from error
        return tensors, about["counters"]

    def save_generator(self, tensors: Mapping[str, Tensor], network: Mapping[str, Any], units: Units) -> None:
        """Write ``generator.safetensors``."""
        save_model(self._generator, tensors, network, units)

    @property
    def generator(self) -> Model:
        """The generator as it was last saved (the average of its weights, if one is kept)."""
        if not self._generator.is_file():
            again = f"wgan resume {self.quoted}, with a larger --steps or --time if it has ended"
            raise WganError(f"{self._generator} does not exist; training writes it: {again}.")
        return Model.load(self._generator)

    @property
    def summary(self) -> dict[str, Any]:
        """What the last process that trained here wrote, first when it began: its status is training until it ends."""
        return read_json(self._summary)

    @property
    def status(self) -> str:
        """How training stands: new, training, killed, interrupted or finished; or failed or diverged, with the reason.

        A run that says that it trains was killed, unless a process holds it.
        """
        told = str(self.summary.get("status", "new"))
        return "killed" if told == "training" and not self.is_training else told

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Set the summary."""
        write_json(self._summary, summary)

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device, threads and command line of the process that made the run."""
        return read_json(self._environment)


def find_runs(root: Path) -> list[Run]:
    """The runs right under a folder, in the order of their names."""
    return [Run(path.parent) for path in sorted(at_home(root).glob("*/config.toml"))]


def numbered_folder(root: Path, name: str) -> Path:
    """Make the next free ``0001-name``; two processes never get the same.

    Raises:
        WganError: It cannot be made.
    """
    slug = re.sub(r"[\W_]+", "-", name.lower())[:60].strip("-") or "run"  # file names have 255 bytes
    taken = [int(m[1]) for path in root.glob("*") if (m := re.match(r"(\d{4,})-", path.name))]
    number = max(taken, default=0) + 1
    with _making():
        while True:
            folder = root / f"{number:04d}-{slug}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return folder


@contextmanager
def _making() -> Iterator[None]:
    """Turn the system's refusal to make a folder into an error in words."""
    try:
        yield
    except OSError as error:
        raise WganError(f"--out: cannot make the folder {error.filename}: {error.strerror}; choose another.") from error
