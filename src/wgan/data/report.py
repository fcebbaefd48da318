"""What is known about a data set after reading it: counts, sizes, what was skipped and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from wgan.words import count, kind, printable

SHOWN = 20


@dataclass(frozen=True)
class Report:
    """What was found in a source.

    Attributes:
        name: The data set's name.
        source: The path it was read from, or what kind of object it was.
        shape: (C, H, W) of pictures, (D,) of vectors.
        count: Samples in all, held-out ones included; None for endless ones.
        held_out: Samples that numbers are measured on, never trained on if there are enough; None for endless ones.
        sizes: Source sizes as "HEIGHTxWIDTH" -> how many, most frequent first.
        modes: Pixel kinds of the source (Pillow's modes, or an array's dtype) -> how many.
        formats: File formats -> how many.
        classes: Class -> how many, in the order of the labels.
        duplicates: How many samples repeat an earlier one exactly.
        skipped: (name, reason) of everything that could not be used.
        value_range: Lowest and highest value of the source that became black and white.
        range_found: Whether that was seen in the values, not given or said by their type.
        notes: Sentences worth reading before training.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    count: int | None = None
    held_out: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    skipped: Sequence[tuple[str, str]] = ()
    value_range: tuple[float, float] | None = None
    range_found: bool = False
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        amount = "endless samples" if self.count is None else count(self.count, "sample")
        lines = [f"{printable(self.name)}: {amount}, {kind(self.shape)}", f"source: {printable(self.source)}"]
        if self.count is not None and self.held_out is not None:
            trained_on = self.count == self.held_out  # where all samples are equal
            lines.append(f"held out: {self.held_out:,}" + ("" if trained_on else " (never trained on)"))
        for title in ("sizes", "modes", "formats", "classes"):
            counts: Mapping[str, int] = getattr(self, title)
            lines += [f"{title}: {_histogram(counts)}"] if counts else []
        if self.value_range is not None:
            lines.append(f"values: {self.value_range[0]:g} to {self.value_range[1]:g}")
        if self.duplicates:
            lines.append(f"duplicates: {self.duplicates:,} repeat an earlier sample exactly")
        if self.skipped:
            lines.append(f"skipped: {len(self.skipped):,}")
            lines += [f"  {name}: {reason}" for name, reason in self.skipped[:SHOWN]]
            lines += [f"  and {len(self.skipped) - SHOWN:,} more"] if len(self.skipped) > SHOWN else []
        return "\n".join(lines + [f"note: {note}" for note in self.notes])

    def to_json(self) -> dict[str, Any]:
        """The report as plain, finite JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Report":
        """The inverse of :meth:`to_json`; keys that are not fields are left out."""
        known = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
        known["shape"] = tuple(known["shape"])
        known["skipped"] = [(str(name), str(reason)) for name, reason in known["skipped"]]
        if known["value_range"] is not None:
            low, high = known["value_range"]
            known["value_range"] = (float(low), float(high))
        return cls(**known)


def _histogram(counts: Mapping[str, int]) -> str:
    pairs = list(counts.items())
    text = ", ".join(f"{name} ({count:,})" for name, count in pairs[: 2 * SHOWN])
    return text + (f" and {len(pairs) - 2 * SHOWN:,} more" if len(pairs) > 2 * SHOWN else "")
