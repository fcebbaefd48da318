"""The flags that commands share: the fields of the configuration, --quiet and --json."""

import re
from collections.abc import Sequence
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from cyclopts import Group, Parameter, Token

from wgan import options
from wgan.limits import complaint

_SECTIONS = "run", "data", "generator", "critic", "latent", "loss", "optimizer"
_GROUPS = {section: Group(section.title(), sort_key=number) for number, section in enumerate(_SECTIONS, 1)}


def whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A whole number of the size that its flag allows; cyclopts would round another.

    Raises:
        ValueError: It is none.
    """
    (token,) = tokens
    if not re.fullmatch(r"[+-]?[0-9]+", token.value.strip()):
        raise ValueError(f"{token.value!r} is not a whole number.")
    number, name = int(token.value), (token.keyword or "").strip("-").replace("-", "_")
    if wrong := complaint(name, number):
        raise ValueError(wrong)
    return number


def _flags(names: list[str], title: str, otherwise: str = "") -> Any:
    """A dataclass with a flag for each of these fields, all of them left out by default.

    ``otherwise`` says what holds then, in place of the default preset's value.
    """
    known, defaults = options.all_fields(), options.flatten(options.make_config(options.preset("default")))
    rows: list[Any] = []
    for name in names:
        f = known[name]
        default = f" [default: {otherwise or _text(defaults[name])}]" if otherwise or name in defaults else ""
        kind = next((kind for kind in (bool, int, float) if f.hint in (kind, kind | None)), str)
        converter = whole if kind is int else None
        parameter = Parameter(
            name=options.flag(name), help=f.help + default, group=_GROUPS[f.section], converter=converter
        )
        rows.append((name, Annotated[kind | None, parameter], field(default=None)))
    made = make_dataclass(title, rows, frozen=True, kw_only=True)
    made.__module__ = __name__  # Python 3.11 says "types", whose classes cyclopts does not look into
    return Annotated[made, Parameter(name="*")]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def given_flags(flags: Any) -> dict[str, Any]:
    """The options that were given, under their flat names."""
    return {} if flags is None else {name: value for name, value in vars(flags).items() if value is not None}


TrainFlags = _flags([name for name in options.all_fields() if name != "data"], "TrainFlags")
ResumeFlags = _flags(list(options.RESUMABLE), "ResumeFlags", "as in the run")
DataFlags = _flags(list(options.READING), "DataFlags")
Whole = Annotated[int, Parameter(converter=whole)]
Quiet = Annotated[bool, Parameter(negative="", help="Show nothing but errors.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output.")]
