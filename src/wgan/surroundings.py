"""What a Python program has set in torch for itself: it neither changes what is computed here nor is changed."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def with_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function learn though it is called from an evaluation, under ``torch.no_grad()`` or in inference mode."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch  # slow, and a help text needs none of it

        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return call


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute as in a program of its own, whatever its caller has set.

    Inside, gradients are on and new tensors are float32; the number of threads is given back at the end.
    """
    learning = with_gradients(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            return learning(*args, **kwargs)
        finally:
            torch.set_default_dtype(dtype)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)

    return call
