"""What a program has set in torch for itself changes nothing that is computed here, and stays as it was."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Shared:
    """Settings of the whole process: the first call inside saves them, the last one restores them."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Float32 inside, all 24 bits of its mantissa in products too, and what there was before outside."""
        import torch  # slow, and a help text needs none of it

        made: Any = torch.backends
        multipliers = [made.cuda.matmul, made.cudnn.conv, made.cudnn.rnn]
        multipliers += [made.mkldnn.matmul, made.mkldnn.conv, made.mkldnn.rnn]
        with self._lock:
            if not self._inside:
                self._threads, self._dtype = torch.get_num_threads(), torch.get_default_dtype()
                self._precisions = [each.fp32_precision for each in multipliers]
                torch.set_default_dtype(torch.float32)
                for each in multipliers:  # cuDNN's convolutions have the 11 bits of TF32 unless told otherwise
                    each.fp32_precision = "ieee"
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    torch.set_default_dtype(self._dtype)
                    for each, precision in zip(multipliers, self._precisions, strict=True):
                        each.fp32_precision = precision
                    if torch.get_num_threads() != self._threads:
                        torch.set_num_threads(self._threads)


_SHARED = _Shared()


def with_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function learn, in full precision, though it is called under no_grad, in inference mode or autocast."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        precise = torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False)
        with torch.inference_mode(False), torch.enable_grad(), precise[0], precise[1]:
            return function(*args, **kwargs)

    return call


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute as in a program of its own.

    Inside, gradients are on, autocast is off, products of float32 are not rounded to TF32 or bfloat16, and new tensors
    are float32 and on the CPU; the number of threads is given back at the end.
    """
    learning = with_gradients(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        elsewhere = torch.get_default_device().type != "cpu"
        on_cpu = torch.device("cpu") if elsewhere else nullcontext()  # it slows every operation a little
        with _SHARED.kept(), on_cpu:
            return learning(*args, **kwargs)

    return call
