"""What a program has set in torch for itself changes nothing that is computed here, and stays as it was."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress


class _Shared:
    """Settings of the whole process: the first call inside changes them, and the last one gives them back.

    Args:
        changed: Changes them, and gives them back at its end.
    """

    def __init__(self, changed: Callable[[], AbstractContextManager[None]]) -> None:
        self._changed, self._lock, self._inside, self._before = changed, threading.Lock(), 0, ExitStack()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Changed inside, and as before outside."""
        with self._lock:
            if not self._inside:
                self._before.enter_context(self._changed())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._before.close()


@contextmanager
def _float32() -> Iterator[None]:
    """New tensors are float32; the number of threads, which is changed elsewhere, is given back with that."""
    import torch  # slow, and a help text needs none of it

    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


@contextmanager
def _whole_products() -> Iterator[None]:
    """Products of float32 are not rounded to TF32, as cuDNN's convolutions are by default, nor to bfloat16."""
    import torch

    cudnn = torch.backends.cudnn
    with ExitStack() as rounded:
        with suppress(RuntimeError):  # a program that uses torch's newer settings beside these decides itself
            if (products := torch.get_float32_matmul_precision()) != "highest":
                torch.set_float32_matmul_precision("highest")
                rounded.callback(torch.set_float32_matmul_precision, products)
        with suppress(RuntimeError):
            if cudnn.allow_tf32:
                cudnn.allow_tf32 = False
                rounded.callback(setattr, cudnn, "allow_tf32", True)
        yield


_FLOAT32, _WHOLE_PRODUCTS = _Shared(_float32), _Shared(_whole_products)


@contextmanager
def _learning() -> Iterator[None]:
    import torch

    precise = torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False)
    with torch.inference_mode(False), torch.enable_grad(), precise[0], precise[1]:
        yield


@contextmanager
def _alone() -> Iterator[None]:
    import torch

    elsewhere = torch.get_default_device().type != "cpu"
    on_cpu = torch.device("cpu") if elsewhere else nullcontext()  # it slows every operation a little
    with _FLOAT32.kept(), on_cpu, _learning():
        yield


# Decorators, which enter anew at each call; calls may be in each other and in several threads.

unrounded = _WHOLE_PRODUCTS.kept()
"""Let a function compute products of float32 with all 24 bits, for what it says is to be believed."""

with_gradients = _learning()
"""Let a function learn, in full precision, though it is called under no_grad, in inference mode or autocast."""

undisturbed = _alone()
"""Let a function compute as in a program of its own.

Inside, gradients are on, autocast is off, and new tensors are float32 and on the CPU; the number of threads is given
back at the end.
"""
