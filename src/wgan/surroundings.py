"""What a program has set in torch for itself changes nothing that is computed here, and stays as it was."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _Shared:
    """Settings of the whole process: the first call inside changes them, and the last one gives them back.

    Args:
        change: Changes them, and returns what gives them back.
    """

    def __init__(self, change: Callable[[], Callable[[], None]]) -> None:
        self._change, self._lock, self._inside = change, threading.Lock(), 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Changed inside, and as before outside."""
        with self._lock:
            if not self._inside:
                self._give_back = self._change()
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._give_back()


def _float32() -> Callable[[], None]:
    """New tensors are float32; the number of threads, which is changed elsewhere, is given back with that."""
    import torch  # slow, and a help text needs none of it

    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)

    def give_back() -> None:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)

    return give_back


def _whole_products() -> Callable[[], None]:
    """Products of float32 are not rounded to TF32, as cuDNN's convolutions are by default, nor to bfloat16."""
    import torch

    cudnn, rounded = torch.backends.cudnn, ExitStack()
    with suppress(RuntimeError):  # a program that uses torch's newer settings beside these decides itself
        if (products := torch.get_float32_matmul_precision()) != "highest":
            torch.set_float32_matmul_precision("highest")
            rounded.callback(torch.set_float32_matmul_precision, products)
    with suppress(RuntimeError):
        if cudnn.allow_tf32:
            cudnn.allow_tf32 = False
            rounded.callback(setattr, cudnn, "allow_tf32", True)
    return rounded.close


_FLOAT32, _WHOLE_PRODUCTS = _Shared(_float32), _Shared(_whole_products)


def unrounded(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute products of float32 with all 24 bits, for what it says is to be believed."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _WHOLE_PRODUCTS.kept():
            return function(*args, **kwargs)

    return call


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

    Inside, gradients are on, autocast is off, and new tensors are float32 and on the CPU; the number of threads is
    given back at the end.
    """
    learning = with_gradients(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        import torch

        elsewhere = torch.get_default_device().type != "cpu"
        on_cpu = torch.device("cpu") if elsewhere else nullcontext()  # it slows every operation a little
        with _FLOAT32.kept(), on_cpu:
            return learning(*args, **kwargs)

    return call
