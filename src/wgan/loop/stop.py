"""Ctrl-C and similar signals: a request to stop, which training grants once everything is saved."""

import signal
import threading
import time
from types import FrameType, TracebackType

from wgan import worker

_ONE_KEYSTROKE = 1.0  # seconds in which a launcher and a terminal may pass on the same Ctrl-C


class Stop:
    """Turns Ctrl-C, SIGTERM or a hang-up into a request to stop; another Ctrl-C, a second later, stops at once.

    Whatever else comes again does not, for what stops a service or a job often tells its processes several times. The
    end of the launcher that should have passed signals on asks to stop, too. What was to be ignored when the program
    began, as the hang-up is under ``nohup``, stays so.
    """

    def __init__(self) -> None:
        self._heard, self._pressed = 0, float("inf")

    @property
    def signal(self) -> int:
        """What asked to stop; 0 if nothing did."""
        return self._heard or (signal.SIGTERM if worker.is_orphan() else 0)

    def __enter__(self) -> "Stop":
        here = threading.current_thread() is threading.main_thread()
        heeded = [number for number in worker.SIGNALS if here and not worker.is_ignored(number)]
        self._old = {number: signal.signal(number, self._hear) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            if handler is not None:  # it was not put there from Python
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if time.monotonic() > self._pressed + _ONE_KEYSTROKE:
                raise KeyboardInterrupt
            self._pressed = min(self._pressed, time.monotonic())
        self._heard = self._heard or number
