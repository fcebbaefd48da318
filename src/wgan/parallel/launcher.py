"""Starting the processes of a run on this machine, through torch.distributed's own launcher."""

import logging
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from wgan import worker
from wgan.errors import Stopped, UsageError, WganError

RESTARTS = 3
"""How many times ``--processes`` starts a run's processes again after one was lost."""
_PASSED_ON = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
_SHUTDOWN = 600  # seconds in which a stopped run may save and draw before its processes are killed


def launch(processes: int, arguments: Sequence[str], command: str, folder: Path) -> None:
    """Run ``wgan`` with these arguments in several processes of this machine, by torch.distributed's own launcher.

    When one of them is lost, all start again and go on from the last save, at most three times.

    Args:
        processes: How many.
        arguments: Of every process's command line.
        command: What the person typed.
        folder: The run's, for what is said in the end.

    Raises:
        UsageError, WganError: What a process told, or that too many were lost.
        Stopped: Ctrl-C or SIGTERM came; everything is saved.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    _silence(logging.getLogger("torch.distributed"))  # what it reports is said here, in one line
    failure, number = "", 0
    with tempfile.TemporaryDirectory(prefix="wgan-") as temporary:
        outcome = Path(temporary) / "outcome.json"
        flags = [f"--nproc-per-node={processes}", f"--max-restarts={RESTARTS}", f"--log-dir={temporary}"]
        heeded = ",".join(name for name in _PASSED_ON if not worker.is_ignored(signal.Signals[name]))
        words = ["--standalone", "--local-addr=127.0.0.1", *flags, "-m", "wgan", *arguments]
        try:
            with _environment({worker.OUTCOME: str(outcome), worker.COMMAND: command}):
                asked = get_args_parser().parse_args(words)
                asked.signals_to_handle = heeded  # no flag, which older versions of torch do not know
                run(asked)
        except ChildFailedError as error:
            rank, first = error.get_first_failure()
            how = signal.Signals(-first.exitcode).name if first.exitcode < 0 else f"exit code {first.exitcode}"
            again = f"go on: wgan resume {shlex.quote(str(folder))}"
            failure = f"process {rank} ended with {how}, after {RESTARTS} new starts; {again}"
        except SignalException as error:
            number = int(error.sigval)
        told = worker.read_outcome(outcome)
    if number:
        raise Stopped(told.get("text", ""), number)
    if told.get("code", worker.STOPPED) < worker.STOPPED:
        raise (UsageError if told["code"] == UsageError.exit_code else WganError)(told["text"])
    if failure:
        raise WganError(failure)


def _silence(logger: logging.Logger) -> None:
    """Let nothing out of a logger and those under it, each of which has a level of its own."""
    logger.handlers, logger.propagate = [logging.NullHandler()], False


@contextmanager
def _environment(told: Mapping[str, str]) -> Iterator[None]:
    """Variables for the workers: what they are told, no thread warnings, and sockets that no other machine sees."""
    quiet = {"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(_SHUTDOWN)}
    safe = {"PYTHONSAFEPATH": "1"}  # with -m, Python would else take a wgan.py in the current folder for the package
    told = {**told, worker.LAUNCHER: str(os.getpid())}
    loopback = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
    before = dict(os.environ)
    os.environ.update({**quiet, **loopback, **before, **safe, **told})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
