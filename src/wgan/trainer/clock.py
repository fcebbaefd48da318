"""How long training has taken, over all processes that trained one after the other."""

import time


class Clock:
    """Stands still until it is started, and then runs on, with all that happens between steps."""

    def __init__(self) -> None:
        self._earlier = 0.0
        self._began: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds that it has run."""
        return self._earlier + (0.0 if self._began is None else time.perf_counter() - self._began)

    def start(self) -> None:
        """Let it run, if it does not yet."""
        self._began = self._began or time.perf_counter()

    def set(self, seconds: float) -> None:
        """Stop it, and let it show what a clock before it had run."""
        self._earlier, self._began = seconds, None
