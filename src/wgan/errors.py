"""What went wrong, in one sentence that says where, what is allowed and what to do next."""


class WganError(Exception):
    """A failure that a person can fix: its text is shown without a traceback, and the exit code is 1."""

    exit_code = 1


class UsageError(WganError):
    """A wrong name, value or combination in a call or on the command line; the exit code is 2."""

    exit_code = 2


class LostError(WganError):
    """Another process of the run is gone: its launcher starts all of them again, from the last save."""


class Stopped(KeyboardInterrupt):
    """A signal asked to stop.

    Attributes:
        signal: Its number.
    """

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.signal = number
