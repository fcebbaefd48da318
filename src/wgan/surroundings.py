"""What a program has set in torch for itself changes nothing that is computed here, and stays as it was."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Settings:
    """What torch has one of in a program: the first call that is inside keeps it, the last one gives it back."""

    def __init__(self) -> None:
        self._lock, self._inside, self._kept = threading.Lock(), 0, (0, None)

    def enter(self, torch: Any) -> None:
        with self._lock:
            if not self._inside:
                self._kept = torch.get_num_threads(), torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self._inside += 1

    def leave(self, torch: Any) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                threads, dtype = self._kept
                torch.set_default_dtype(dtype)
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)


_SETTINGS = _Settings()


def with_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function learn, in full precision, though it is called under no_grad, in inference mode or autocast."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch  # slow, and a help text needs none of it

        precise = torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), precise[0], precise[1]:
            return function(*args, **kwargs)

    return call


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute as in a program of its own.

    Inside, gradients are on, autocast is off, and new tensors are float32 and on the CPU; the number of threads is
    given back at the end.
    """
    learning = with_gradients(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        elsewhere = torch.get_default_device().type != "cpu"
        _SETTINGS.enter(torch)
        try:
            with torch.device("cpu") if elsewhere else nullcontext():  # it slows every operation a little
                return learning(*args, **kwargs)
        finally:
            _SETTINGS.leave(torch)

    return call
