"""What errors of others say, in sentences of ours, though they say nothing."""

import pytest
import torch

from wgan import build
from wgan.build import make_trainer
from wgan.config import Config
from wgan.data import open_data
from wgan.errors import LostError, UsageError, WganError
from wgan.machine.devices import resolve_device
from wgan.parallel.group import talking
from wgan.words import count, digits, first_line, kind, with_error


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
    said = "[/pytorch/gloo/pair.cc:537] Read error [127.0.0.1]:3: Connection reset by peer. This is typically caused by"
    with pytest.raises(LostError, match=r"\(Read error \[127.0.0.1\]:3: Connection reset by peer\)\."), talking():
        raise RuntimeError(said)
    monkeypatch.setattr(build, "make_generator", lambda *_, **__: fail(MemoryError))
    with pytest.raises(WganError, match="the networks cannot be made: there is not enough memory; use smaller widths"):
        make_trainer(Config(), open_data(torch.rand(20, 3)))
    monkeypatch.setattr(torch, "empty", lambda *_, **__: fail(RuntimeError))
    with pytest.raises(UsageError, match=r"'cpu', which cannot be used here \(RuntimeError\)"):
        resolve_device("cpu")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1234.5678, 0.05, "1,234.57"),
        (123.456, 0.5, "123.5"),
        (123.456, 1.2, "123"),
        (123.456, 2.0, "123"),
        (123456.7, 0.2, "123,456.7"),
        (1.23456, 0.02, "1.23"),
        (1.23456, 0.012, "1.23"),
        (-1234.4, None, "-1,234"),
        (-1234.4, 0.3, "-1,234.4"),
        (999.4, None, "999"),
        (999.6, None, "1,000"),
        (1e6, None, "1e+06"),
        (0.0, 0.1, "0"),
        (0.333333333, 1e-17, "0.333"),
        (12.345, 0.096, "12.3"),  # an error of .1
        (1.5, 0.0096, "1.50"),
    ],
)
def test_digits_go_to_the_first_that_the_error_leaves(value: float, error: float | None, text: str) -> None:
    assert digits(value, error) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (100.0, 9.6, "100 ± 10"),
        (100.0, 9.4, "100 ± 9"),
        (5e7, 2e6, "5e+07 ± 2e+06"),
        (2.83, 9e-17, "2.83 ± 0"),  # that of its arithmetic
        (0.0, 1e-3, "0 ± 0.001"),
    ],
)
def test_errors_have_a_digit_or_are_whole(value: float, error: float, text: str) -> None:
    assert with_error(value, error) == text


def test_things_are_counted_and_shapes_named_height_first() -> None:
    assert [count(number, "step") for number in (0, 1, 1000)] == ["0 steps", "1 step", "1,000 steps"]
    assert kind((1,)) == "vectors of 1 number" and kind((3, 4, 8)) == "colour pictures of 4x8"
    assert kind((1, 8, 4)) == "grey pictures of 8x4" and kind((2, 8, 4)) == "2-channel pictures of 8x4"
