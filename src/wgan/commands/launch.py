"""`wgan train` and `wgan resume` in several processes: what each of them is told to do."""

import shlex
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wgan import options
from wgan.config import Config
from wgan.errors import UsageError, WganError
from wgan.files import at_home
from wgan.machine import processor
from wgan.parallel.launcher import launch
from wgan.run import Run, numbered_folder
from wgan.trainer.checks import most_processes
from wgan.words import count


def launch_train(made: Config, name: str, out: Path | None, init_from: Path | None, more: list[str]) -> None:
    """Train a new run in several processes.

    Args:
        made: What to do.
        name: What follows the number of the run's folder.
        out: The folder; by default the next number under ``runs/``, chosen here so that all processes agree.
        init_from: Whose weights to begin with.
        more: Flags as they are.
    """
    folder = numbered_folder(Path("runs"), name) if out is None else at_home(out)
    with tempfile.TemporaryDirectory(prefix="wgan-") as temporary:
        config = Path(temporary) / "config.toml"
        config.write_text(options.to_toml(made), encoding="utf-8")
        weights = [] if init_from is None else [f"--init-from={init_from}"]
        arguments = ["train", f"--config={config}", f"--out={folder}", *weights, *more]
        try:
            _launch(made.run.processes, arguments, Run(folder))
        finally:
            if out is None:
                with suppress(OSError):  # a mistake was found before anything was written
                    folder.rmdir()


def launch_resume(run: Run, given: Mapping[str, Any], more: list[str]) -> None:
    """Go on with a run in several processes.

    Raises:
        UsageError: A flag is not allowed; or it was trained in more processes than this machine has cores, and nobody
            said how many now.
    """
    config = options.make_config(options.flatten(run.config), given).run
    on_gpus, cores = config.device.startswith("cuda"), processor.cores()
    if "processes" not in given and not on_gpus and config.processes > cores:
        raise UsageError(
            f"{run.folder} was trained in {config.processes} processes, and this program may use "
            f"{count(cores, 'core')}; say how many to use: wgan resume {run.quoted} --processes "
            f"{most_processes(config.batch, cores)}"
        )
    flags = [f"{options.flag(name)}={value}" for name, value in given.items()]
    _launch(config.processes, ["resume", str(run.folder), *flags, *more], run)


def _launch(processes: int, arguments: list[str], run: Run) -> None:
    launch(processes, arguments, shlex.join(sys.argv), run.folder)
    if not run.summary:  # as when another program of this name was started
        raise WganError(f"the processes ended without a word and left no run in {run.folder}; see `wgan doctor`.")
