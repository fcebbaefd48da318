"""What a process knows that a launcher started: its place among the others, and whom it tells how it ended.

Nothing here imports torch: torchrun tells all of it by environment variables.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from wgan.files import write_text

OUTCOME = "WGAN_OUTCOME"
"""Names the file in which the workers of ``--processes`` leave how it ended, for the launcher to say once."""
COMMAND = "WGAN_COMMAND"
"""What the person typed, where a launcher starts the workers with another command."""
STOPPED = 128
"""Exit codes from here on are those of a signal, after which a run may go on."""
_PATIENCE = 3.0  # seconds in which a process that ends in an error tells it, before the others see that it is gone


class Place(NamedTuple):
    """A worker's place.

    Attributes:
        rank: Its number among all.
        size: How many there are.
        local_rank: Its number on this machine.
        local_size: How many there are on this machine.
        restarts: How many times the launcher started all of them anew.
        launch: What tells this launch from others.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    restarts: int
    launch: str


def place() -> Place | None:
    """This worker's place; None if no launcher started this process."""
    known = os.environ
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= known.keys():
        return None
    numbers = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT")
    rank, size, local_rank, local_size, restarts = (int(known.get(name, 0)) for name in numbers)
    return Place(rank, size, local_rank, max(1, local_size), restarts, known.get("TORCHELASTIC_RUN_ID", ""))


def launch() -> str | None:
    """What tells this launch from others; None if no launcher started this process."""
    here = place()
    return None if here is None else here.launch


def is_first() -> bool:
    """Whether this process is the one that writes and speaks: rank 0, or not a worker at all."""
    here = place()
    return here is None or here.rank == 0


def read_outcome(path: Path) -> dict[str, Any]:
    """What a worker left there; empty if none did."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return told


def is_over() -> bool:
    """Whether a worker has ended in an error that starting again does not mend."""
    return (
        os.environ.get(OUTCOME) is not None and read_outcome(Path(os.environ[OUTCOME])).get("code", STOPPED) < STOPPED
    )


def report(text: str, code: int) -> tuple[bool, int]:
    """Tell the launcher how this worker ends, if there is one.

    Returns:
        Whether to print the text here, and the exit code: 0 for an error that another start does not mend, once our
        own launcher knows of it.
    """
    here = place()
    if here is None:
        return True, code
    if OUTCOME in os.environ:
        path = Path(os.environ[OUTCOME])
        if here.rank == 0 or not path.exists():
            write_text(path, json.dumps({"text": text, "code": code}))
        return False, 0 if code < STOPPED else code
    if error_file := os.environ.get("TORCHELASTIC_ERROR_FILE"):  # torchrun shows it in its own report
        write_text(Path(error_file), json.dumps({"message": text, "timestamp": int(time.time())}))
    return here.rank == 0, code


def report_loss(code: int) -> tuple[bool, int]:
    """As :func:`report`, for a worker that lost another: that one may have told why."""
    deadline = time.monotonic() + _PATIENCE
    while OUTCOME in os.environ and not is_over() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_first() and OUTCOME not in os.environ, 0 if is_over() else code
