"""A worker process's view of its launcher: rank and world size from the environment, and how it reports its end.

Nothing here imports torch: torchrun tells all of it by environment variables.
"""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from wgan.files import write_text

OUTCOME = "WGAN_OUTCOME"
"""Names the file in which the workers of ``--processes`` leave how it ended, for the launcher to say once."""
COMMAND = "WGAN_COMMAND"
"""What the person typed, where a launcher starts the workers with another command."""
LAUNCHER = "WGAN_LAUNCHER"
"""The number of the process that started the workers of ``--processes``."""
STOPPED = 128
"""Exit codes from here on are those of a signal, after which a run may go on."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to stop."""
_PATIENCE = 3.0  # seconds in which a process that ends in an error tells it, before the others see that it is gone

_PARENT = int(os.environ.get(LAUNCHER, os.getppid()))  # torchrun, which does not tell, may be gone before this line


class Place(NamedTuple):
    """A process's place among those of its run; by default that of one which no launcher started.

    Attributes:
        launched: Whether a launcher started it.
        rank: Its number among all.
        size: How many there are.
        local_rank: Its number on this machine.
        local_size: How many there are on this machine.
        restarts: How many times the launcher started all of them again.
        launcher_id: What tells the launcher that started this process from all others; "" if it cannot be known.
        launch: The launch's name if a person gave one, the same on all machines; otherwise ``launcher_id``.
    """

    launched: bool = False
    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    launcher_id: str = ""
    launch: str = ""


def place() -> Place:
    """This process's place."""
    known = os.environ
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= known.keys():
        return Place()
    numbers = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    rank, size, local_rank, local_size, restarts = (int(known.get(name, 0)) for name in numbers)
    # The folder that each launcher makes for itself alone, and keeps when it starts its workers again.
    error_file = known.get("TORCHELASTIC_ERROR_FILE", "")
    launcher = str(Path(error_file).parents[2]) if error_file.count(os.sep) > 3 else ""
    name = known.get("TORCHELASTIC_RUN_ID", "")
    named = name not in ("", "none")  # torchrun's own name for a launch without one
    return Place(True, rank, size, local_rank, max(1, local_size), restarts, launcher, name if named else launcher)


def is_orphan() -> bool:
    """Whether the launcher of this process is gone without having stopped it, as after ``kill -9``."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != _PARENT


def is_ignored(number: int) -> bool:
    """Whether whoever started this process had it ignore a signal, as ``nohup`` does with the hang-up."""
    return signal.getsignal(number) is signal.SIG_IGN


def read_outcome(path: Path) -> dict[str, Any]:
    """What a worker left there; empty if none did, or is just writing it."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told


def is_over() -> bool:
    """Whether a worker has ended in an error that starting again does not fix."""
    return (
        os.environ.get(OUTCOME) is not None and read_outcome(Path(os.environ[OUTCOME])).get("code", STOPPED) < STOPPED
    )


def report(text: str, code: int) -> tuple[str, int]:
    """Tell the launcher how this worker ends, if there is one.

    Returns:
        What to print here, and the exit code: 0 for an error that another start does not fix, once our own launcher
        knows of it. Where nothing can be written, as on a full disk, it is said here.
    """
    here = place()
    if not here.launched:
        return text, code
    if is_orphan():
        return text if here.rank == 0 else "", code
    try:
        if OUTCOME in os.environ:
            _leave(Path(os.environ[OUTCOME]), json.dumps({"text": text, "code": code}), here.rank)
            return "", 0 if code < STOPPED else code
        if error_file := os.environ.get("TORCHELASTIC_ERROR_FILE"):  # torchrun shows it in its own report
            write_text(Path(error_file), json.dumps({"message": text, "timestamp": int(time.time())}))
    except OSError:
        return text, code
    return _spoken(here, text, code), code


def report_loss(text: str, code: int) -> tuple[str, int]:
    """As :func:`report`, for a worker that lost another: that one may have told why."""
    deadline = time.monotonic() + _PATIENCE
    while OUTCOME in os.environ and not is_over() and time.monotonic() < deadline:
        time.sleep(0.1)
    here = place()
    if OUTCOME in os.environ or not here.launched:
        return "", 0 if is_over() else code
    return _spoken(here, text, code), code


def _leave(path: Path, told: str, rank: int) -> None:
    """Write what the launcher is to say: what the first process tells, before what others do."""
    if rank == 0:
        write_text(path, told)
        return
    with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:  # for the first may write it just now
        file.write(told)


def _spoken(here: Place, text: str, code: int) -> str:
    """What a process prints itself: the first all, others their mistakes where no launcher reports for them."""
    if here.rank == 0:
        return text
    return f"process {here.rank}: {text}" if code < STOPPED and not here.launcher_id else ""
