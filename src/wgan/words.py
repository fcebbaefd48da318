"""Numbers, durations, shapes and errors in words."""

import math
from collections.abc import Mapping

_ROUNDING = 1e-12  # an error below this share of a value is that of its arithmetic


def first_line(error: BaseException) -> str:
    """The first line of what an error says that is not empty, else the error's name."""
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory; torch has no type of its own for that on a processor."""
    said = "allocate memory", "out of memory"  # the system, a GPU's driver
    return isinstance(error, MemoryError) or any(words in str(error) for words in said)


def with_error(value: float, error: float | None) -> str:
    """A value with its standard error, where that is known."""
    text = digits(value, error)
    if error is None:
        return text
    error = 0.0 if error < _ROUNDING * abs(value) else error
    return f"{text} ± {error:,.0f}" if 9.5 <= error < 1e6 else f"{text} ± {error:.1g}"


def digits(value: float, error: float | None = None) -> str:
    """A value with three digits, or with as many more as its error leaves it; one of rounding alone does not count."""
    if error and _ROUNDING * abs(value) < error <= abs(value) / 100 and 1e-3 <= abs(value) < 1e15:
        return f"{value:,.{max(0, -math.floor(math.log10(float(f'{error:.1g}'))))}f}"
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e6 else f"{value:.3g}"


def count(number: int, noun: str) -> str:
    """A number of things: 1 step, 1,000 steps."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def clock(seconds: float) -> str:
    """A duration as 0:05:31."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def as_table(rows: Mapping[str, str], units: str, seconds: float) -> str:
    """A distance as lines of text: what stands in rows, its units and how long it took."""
    time = clock(seconds) if seconds >= 60 else f"{seconds:.1f} seconds"
    return "\n".join(f"{name:10}{text}" for name, text in {**rows, "units": units, "time": time}.items())


def kind(shape: tuple[int, ...]) -> str:
    """What samples of a shape are called."""
    if len(shape) == 1:
        return f"vectors of {count(shape[0], 'number')}"
    colours = {1: "grey", 3: "colour", 4: "transparent"}.get(shape[0], f"{shape[0]}-channel")
    return f"{colours} pictures of {shape[1]}x{shape[2]}"


def printable(name: str) -> str:
    """A name of unknown origin, made safe to print: what is no printable character is escaped.

    A terminal would obey an escape sequence, and a list would break at the end of a line.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
