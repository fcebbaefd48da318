"""From what a person writes (flags, keywords, TOML) to a checked :class:`wgan.config.Config`, and back."""

import dataclasses
import math
import re
import tomllib
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import tomli_w
from docstring_parser import parse_from_object

from wgan.config import Config, LossConfig, OptimizerConfig
from wgan.errors import UsageError, WganError
from wgan.limits import AT_LEAST, complaint
from wgan.registry import no_such

BUDGETS = ("steps", "kimg", "epochs", "time")
READING = ("size", "channels", "fit", "value_range", "held_out", "data_dir", "follow_links", "download")
"""How data are read, for commands that do not train."""
RESUMABLE = (
    *BUDGETS, "log_every", "sample_every", "save_every", "catch_up", "threads", "processes", "device",
    "tensorboard", "data", "data_dir", "follow_links", "download",
)  # fmt: skip
"""What may change when a run goes on; its data may have moved."""


class Field(NamedTuple):
    """A field of the configuration under its flat name."""

    section: str
    key: str
    hint: Any
    help: str


def flat_name(section: str, key: str) -> str:
    """The name that is unique across sections: ``generator.width`` -> ``generator_width``."""
    if section not in {"generator", "critic"}:
        return key
    return section if key == "family" else f"{section}_{key}"


@cache
def all_fields() -> Mapping[str, Field]:
    """Every field of the configuration by its flat name, in the order of the sections."""
    found = {}
    for section in fields(Config):
        cls: Any = get_type_hints(Config)[section.name]
        hints = get_type_hints(cls)
        texts = {
            p.arg_name: p.description or "" for base in cls.__mro__[-2::-1] for p in parse_from_object(base).params
        }
        for f in fields(cls):
            name = flat_name(section.name, f.name)
            found[name] = Field(section.name, f.name, hints[f.name], texts.get(f.name, ""))
    return found


def flag(name: str) -> str:
    """The command line's spelling of a flat name."""
    return "--" + name.replace("_", "-")


def make_config(*layers: Mapping[str, Any]) -> Config:
    """Build a configuration from layers of flat options, later ones winning.

    What contradicts a later layer is dropped: the budgets of earlier layers when it names one, a network's widths when
    it gives a width or a depth (and the other way round), all of a network's options when it names another family, and
    weight and interval when it names another constraint, and Adam's factors when it names another optimizer.

    Raises:
        UsageError: A name or a value is not allowed; the message says what is.
    """
    known, merged = all_fields(), dict[str, Any]()
    for layer in layers:
        given = {name: value for name, value in layer.items() if value is not None}
        dropped = _displaced(merged, given)
        merged = {name: value for name, value in merged.items() if name not in dropped} | given
    for name in merged:
        if name not in known:
            raise UsageError(no_such("option", name, known))
    sections: dict[str, dict[str, Any]] = {section.name: {} for section in fields(Config)}
    for name, value in merged.items():
        f = known[name]
        sections[f.section][f.key] = valid(name, value)
    hints = get_type_hints(Config)
    return Config(**{section: hints[section](**values) for section, values in sections.items()})


def _displaced(earlier: Mapping[str, Any], given: Mapping[str, Any]) -> set[str]:
    """The names of earlier options that contradict the ones that are given now."""
    names = set(BUDGETS) if given.keys() & set(BUDGETS) else set()
    usual, adam = LossConfig.constraint, OptimizerConfig.optimizer
    if given.get("constraint", earlier.get("constraint", usual)) != earlier.get("constraint", usual):
        names |= {"weight", "every"}
    if given.get("optimizer", earlier.get("optimizer", adam)) != earlier.get("optimizer", adam):
        names |= {"betas"}
    for network in ("generator", "critic"):
        sizes, widths = {f"{network}_width", f"{network}_depth"}, {f"{network}_widths"}
        names |= widths if given.keys() & sizes else set()
        names |= sizes if given.keys() & widths else set()
        if given.get(network, earlier.get(network, "auto")) != earlier.get(network, "auto"):
            names |= {name for name, f in all_fields().items() if f.section == network}
    settled = {"generator_refine", "generator_modulate"}  # widths settle them themselves
    return names | settled if "generator_widths" in given else names


def flatten(config: Config) -> dict[str, Any]:
    """The configuration as flat options; fields that are None are left out."""
    return {flat_name(section, key): value for section, key, value in _items(config)}


def to_toml(config: Config) -> str:
    """The configuration as the text of ``config.toml``; fields that are None are left out."""
    tables: dict[str, dict[str, Any]] = {}
    for section, key, value in _items(config):
        tables.setdefault(section, {})[key] = list(value) if isinstance(value, tuple) else value
    return tomli_w.dumps(tables)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a ``config.toml`` or a preset as flat options.

    Raises:
        WganError: There is no such file.
        UsageError: It is not TOML, or has a section or key that is not known.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WganError(f"cannot read the configuration {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise WganError(f"cannot read the configuration {path}: it is not text in UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from error
    return _flatten_tables(tables, path)


def presets() -> dict[str, Path]:
    """The presets that ship with the package, by name."""
    folder = Path(str(resources.files("wgan"))) / "presets"
    first = ("default", "points")
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda p: (p.stem not in first, p.stem))}


def preset(name: str) -> dict[str, Any]:
    """A preset as flat options.

    Raises:
        UsageError: There is no such preset; the message lists them.
    """
    known = presets()
    if name not in known:
        raise UsageError(no_such("preset", name, known) + " See `wgan presets`.")
    return read_toml(known[name])


def preset_help(name: str) -> str:
    """The first line of a preset's file: what it is."""
    return presets()[name].read_text(encoding="utf-8").splitlines()[0].removeprefix("#").strip()


def cannot_change(flag_name: str) -> str:
    """The sentence for an option that a resumed run may not change."""
    allowed = ", ".join(map(flag, RESUMABLE))
    return f"{flag_name} cannot change in a resumed run; only {allowed} can. wgan train --init-from begins a new run."


def valid(name: str, value: Any) -> Any:
    """Turn text, TOML or a Python value into what the field of this flat name holds.

    Raises:
        UsageError: The value is not of the field's kind, or is out of its range.
    """
    return _check(name, _coerce(name, value, all_fields()[name].hint))


def _coerce(name: str, value: Any, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(arm for arm in get_args(hint) if arm is not type(None))
    if get_origin(hint) is Literal:
        return _choice(name, value, get_args(hint))
    if get_origin(hint) is tuple:
        return _tuple(name, value, get_args(hint))
    return _scalar(name, value, hint)


def _scalar(name: str, value: Any, kind: type) -> Any:
    value = value.item() if getattr(value, "shape", None) == () else value  # a scalar of NumPy or torch
    if kind is str and isinstance(value, str | int | float | Path) and not isinstance(value, bool):
        return _text(name, str(value))
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and re.fullmatch(r"-?[0-9]+", str(value)):
        return int(value)  # exact, however large
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if kind in (int, float) and math.isfinite(number) and (kind is float or number.is_integer()):
        return kind(number)
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
    raise UsageError(f"{flag(name)}: {value!r} is not {wanted}.")


def _text(name: str, value: str) -> str:
    if not value.strip():
        raise UsageError(f"{flag(name)}: the value is empty.")
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes of a path that are no UTF-8
        raise UsageError(f"{flag(name)}: {value!r} is not valid text; rename it.")
    return value


def _choice(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    by_text = {str(choice): choice for choice in allowed}
    if str(value) not in by_text:
        raise UsageError(f"{flag(name)}: " + no_such("value", str(value), by_text))
    return by_text[str(value)]


def _tuple(name: str, value: Any, arms: tuple[Any, ...]) -> tuple[Any, ...]:
    text = f"({','.join(map(str, value))})" if isinstance(value, list | tuple) else str(value)
    if name == "size" and not re.fullmatch(r"\d+(x\d+)?|[\[(]?\d+, *\d+[\])]?", text):
        raise UsageError(f"--size: {value!r} is not a size; write 64 or 48x64 (height x width).")
    if isinstance(value, str):
        parts: list[Any] = (value.replace("x", ",") if name == "size" else value).split(",")
    else:
        parts = list(value) if isinstance(value, list | tuple) else [value]
    if name == "size" and len(parts) == 1:
        parts = parts * 2
    if arms[-1] is not Ellipsis and len(parts) != len(arms):
        raise UsageError(f"{flag(name)}: {value!r} must be {len(arms)} numbers, such as {_EXAMPLE[name]}.")
    return tuple(_scalar(name, part, arms[0]) for part in parts)


_EXAMPLE = {"size": "48x64", "betas": "0.5,0.999", "value_range": "0,1"}


def _check(name: str, value: Any) -> Any:
    """Refuse a number that is out of its range."""
    for number in value if isinstance(value, tuple) else (value,):
        if name == "held_out" and number < AT_LEAST[name]:
            raise UsageError(
                f"--held-out: {number:g} holds nothing out, and without held-out samples there is no estimate; "
                "give a share, as 0.1, or a number of samples, as 1."
            )
        if wrong := complaint(name, number):
            raise UsageError(f"{flag(name)}: {wrong}")
        if name == "betas" and number >= 1:
            raise UsageError(f"{flag(name)}: {number} is too large; averaging factors are below 1.")
    return value


def _items(config: Config) -> Iterator[tuple[str, str, Any]]:
    for section, values in dataclasses.asdict(config).items():
        yield from ((section, key, value) for key, value in values.items() if value is not None)


def _flatten_tables(tables: Mapping[str, Any], path: Path) -> dict[str, Any]:
    sections = [section.name for section in fields(Config)]
    known = {(f.section, f.key): name for name, f in all_fields().items()}
    flat = {}
    for section, values in tables.items():
        if section not in sections or not isinstance(values, dict):
            raise UsageError(f"{path}: " + no_such("section", section, sections))
        for key, value in values.items():
            if (section, key) not in known:
                keys = [k for s, k in known if s == section]
                raise UsageError(f"{path}, section [{section}]: " + no_such("key", key, keys))
            name = known[section, key]
            try:
                flat[name] = valid(name, value)
            except UsageError as error:
                reason = str(error).removeprefix(f"{flag(name)}: ")
                raise UsageError(f"{path}, section [{section}], {key}: {reason}") from None
    return flat
