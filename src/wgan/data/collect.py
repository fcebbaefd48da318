"""From a source of pictures to one array: choose the shape, read everything once, write it row after row."""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.images import FEWEST_LEVELS, Header, Target, Unreadable, checked_range, is_deep
from wgan.data.progress import Progress
from wgan.data.report import Report
from wgan.data.source import Read, Source, in_order
from wgan.data.split import digest, duplicates_in
from wgan.errors import UsageError, WganError

LARGE = 128
"""Pictures with a longer side become 64x64 if nobody says otherwise: large ones are a choice, not an accident."""

DEFAULT = 64
TOLD_EVERY = 64


class Rows(NamedTuple):
    """Pictures as uint8 rows (N, H, W, C), their labels and digests, and what was found."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    digests: NDArray[np.uint64]
    report: Report


@dataclass
class Found:
    """What accumulates while pictures are read; the pixels do not.

    Attributes:
        headers: How often each was seen.
        labels: Of each picture.
        digests: Of each picture's pixels.
        skipped: Names of files that cannot be used, and why.
        brightest: The largest byte.
        brightest_deep: The largest byte of those that had more than 8 bits.
    """

    headers: Counter[Header]
    labels: list[str | None]
    digests: list[int]
    skipped: list[tuple[str, str]]
    brightest: int = 0
    brightest_deep: int = 0


def choose_target(source: Source, options: DataConfig, progress: Progress) -> tuple[Target, list[str]]:
    """The shape of all pictures, from the options or from the headers, and notes about what was chosen.

    Raises:
        UsageError: The value range is empty.
        WganError: No picture in the source has a readable header.
    """
    if options.size is not None and options.channels is not None:
        return _target(options, *options.size, options.channels), []
    sizes: Counter[tuple[int, int]] = Counter()
    reasons: list[tuple[str, str]] = []
    grey, transparent = True, False
    for number, seen in enumerate(source.headers()):
        _tell(progress, "looking at pictures", number + 1, len(source))
        if isinstance(seen, Unreadable):
            reasons.append((source.title(number), str(seen)))
            continue
        sizes[seen.height, seen.width] += 1
        grey, transparent = grey and seen.grey, transparent or seen.transparent
    if not sizes:
        raise nothing_left(source, reasons)
    (height, width), notes = (options.size, []) if options.size else _usual_size(sizes)
    if options.channels is None and transparent:
        notes.append("there are pictures with transparency, now laid on white; --channels 4 keeps it.")
    return _target(options, height, width, options.channels or (1 if grey else 3)), notes


def _usual_size(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], list[str]]:
    """The size that most pictures have, or a square where there is none or it is large, and notes that say so."""
    (height, width), times = sizes.most_common(1)[0]
    if 2 * times > sizes.total():
        if max(height, width) <= LARGE:
            return (height, width), []
        side, found = DEFAULT, f"{'most' if len(sizes) > 1 else 'the'} pictures are {height}x{width}"
    else:
        side, found = min(DEFAULT, max(map(max, sizes))), f"the pictures have {len(sizes):,} sizes"
    return (side, side), [f"{found}; all are brought to {side}x{side}, if no --size says otherwise."]


def _target(options: DataConfig, height: int, width: int, channels: int) -> Target:
    return Target(height, width, channels, options.fit, checked_range(options.value_range))


def nothing_left(source: Source, reasons: Sequence[tuple[str, str]]) -> WganError:
    """The error for a source without a usable picture, with a few of the reasons."""
    everything = [*reasons, *source.skipped]
    if not everything:
        return WganError(f"{source.place} has no pictures; put some into it or name another source.")
    few = "; ".join(f"{name}: {why}" for name, why in everything[:3])
    return WganError(f"none of the {len(everything):,} files in {source.place} can be used as a picture ({few}).")


def write_rows(
    source: Source, target: Target, notes: Sequence[str], file: BinaryIO, progress: Progress
) -> tuple[NDArray[np.int64] | None, NDArray[np.uint64], Report]:
    """Read every picture once and write it to ``file`` in .npy format, (N, H, W, C) uint8.

    The header is written twice: with room for any N before the rows, with the true N after them.

    Raises:
        WganError: No picture could be read.
        UsageError: What is black and white must be said.
    """

    def read(number: int) -> tuple[Read, int] | Unreadable:
        try:
            got = source.read(number, target)
        except Unreadable as error:
            return error
        return got, digest(got.pixels)

    found = Found(Counter(), [], [], list(source.skipped))
    _write_header(file, target, 0)
    for number, got in enumerate(in_order(read, len(source), source.workers)):
        _tell(progress, "reading pictures", number + 1, len(source))
        if isinstance(got, Unreadable):
            found.skipped.append((source.title(number), str(got)))
            continue
        (seen, pixels, label), hashed = got
        file.write(np.ascontiguousarray(pixels).data)
        found.headers[seen] += 1
        brightest = int(pixels.max())
        found.brightest = max(found.brightest, brightest)
        if is_deep(seen.mode):
            found.brightest_deep = max(found.brightest_deep, brightest)
        found.labels.append(label)
        found.digests.append(hashed)
    if not found.digests:
        raise nothing_left(source, found.skipped[len(source.skipped) :])
    file.seek(0)
    _write_header(file, target, len(found.digests))
    file.flush()
    return _finish(source, target, notes, found)


def rows_in_memory(source: Source, images: NDArray[np.uint8], notes: Sequence[str]) -> Rows:
    """Rows over pixels that already have the right shape; ``source`` is only asked for headers and labels."""
    headers: Counter[Header] = Counter()
    seen = next(iter(source.headers()))
    if isinstance(seen, Header):
        headers[seen] = len(images)
    target = Target(images.shape[1], images.shape[2], images.shape[3], "crop")
    labels = [source.read(number, target).label for number in range(len(images))]
    found = Found(headers, labels, [digest(image) for image in images], [], int(images.max()))
    return Rows(images, *_finish(source, target, notes, found))


def _finish(
    source: Source, target: Target, notes: Sequence[str], found: Found
) -> tuple[NDArray[np.int64] | None, NDArray[np.uint64], Report]:
    labels, classes = number_labels(found.labels, source.classes)
    digests = np.array(found.digests, np.uint64)
    value_range, more = source.value_range, []
    if value_range is None and any(is_deep(seen.mode) for seen in found.headers):
        value_range = target.value_range
        if value_range is None and found.brightest_deep <= FEWEST_LEVELS:  # as 12 bits in files of 16
            raise UsageError(
                f"{source.place} has pictures with more than 8 bits that would keep only {found.brightest_deep + 1} of "
                "256 grey levels as they are; say what is black and white with --value-range=LOW,HIGH."
            )
        more.append(
            "pictures with more than 8 bits: their format or values say what is black and white; "
            "--value-range=LOW,HIGH overrides it."
            if value_range is None
            else f"pictures with more than 8 bits: {value_range[0]:g} is black and {value_range[1]:g} white."
        )
    elif value_range is None and 0 < found.brightest < FEWEST_LEVELS:
        raise UsageError(
            f"{source.place} has pictures of bytes of which none is above {found.brightest}, where 255 is white: all "
            f"are nearly black; multiply them, as by {255 // found.brightest}, first."
        )
    elif value_range is None and target.value_range is not None:
        more.append(
            "--value-range is not used, for no picture is read with more than 8 bits (of colours Pillow keeps 8)."
        )
    report = Report(
        name=source.name,
        source=source.place,
        shape=(target.channels, target.height, target.width),
        count=len(digests),
        sizes=_counted(((f"{seen.height}x{seen.width}"), n) for seen, n in found.headers.items()),
        modes=_counted((seen.mode, n) for seen, n in found.headers.items()),
        formats=_counted((seen.format, n) for seen, n in found.headers.items()),
        classes=classes,
        duplicates=duplicates_in(digests),
        skipped=found.skipped,
        value_range=value_range,
        range_found=source.range_found,
        notes=[*source.notes, *notes, *more],
    )
    return labels, digests, report


def number_labels(
    labels: Sequence[str | None], order: Sequence[str] | None
) -> tuple[NDArray[np.int64] | None, dict[str, int]]:
    """Class names -> indices (N,) and counts; None unless all have one. Numbers sort as numbers."""
    counts = Counter(label for label in labels if label is not None)
    if not labels or counts.total() < len(labels):
        return None, {}
    names = list(order or sorted(counts, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n)))
    number = {name: index for index, name in enumerate(names)}
    indices = np.array([number[label] for label in labels if label is not None], np.int64)
    return indices, {name: counts[name] for name in names}


def _counted(pairs: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for name, count in pairs:
        total[name] += count
    return dict(total.most_common())


def _write_header(file: BinaryIO, target: Target, count: int) -> None:
    # numpy pads this header so that the first axis can grow in place.
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *target.shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _tell(progress: Progress, label: str, done: int, total: int) -> None:
    if done % TOLD_EVERY == 0 or done == total:
        progress(label, done, total)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Pillow warns about odd files; the report names them. Threads start and end inside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
