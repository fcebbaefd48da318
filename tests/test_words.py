"""What errors of others say, in sentences of ours, though they say nothing."""

import pytest
import torch

from wgan import build
from wgan.build import make_trainer, resolve_device
from wgan.config import Config
from wgan.data import open_data
from wgan.errors import LostError, UsageError, WganError
from wgan.parallel.group import talking
from wgan.words import first_line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("\n \n"), "RuntimeError"),
        (RuntimeError("\n  the cause \nException raised from"), "the cause"),
        (ValueError("all"), "all"),
    ],
)
def test_the_first_line_of_an_error_that_says_something(error: Exception, words: str) -> None:
    assert first_line(error) == words


def test_errors_without_words_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kind: type[Exception]) -> None:
        raise kind

    with pytest.raises(LostError, match=r"was lost, and the others stop \(RuntimeError\)\."), talking():
        fail(RuntimeError)
    monkeypatch.setattr(build, "make_generator", lambda *_, **__: fail(MemoryError))
    with pytest.raises(WganError, match="the networks cannot be made: MemoryError; use smaller widths"):
        make_trainer(Config(), open_data(torch.rand(20, 3)))
    monkeypatch.setattr(torch, "empty", lambda *_, **__: fail(RuntimeError))
    with pytest.raises(UsageError, match=r"'cpu', which cannot be used here \(RuntimeError\)"):
        resolve_device("cpu")
