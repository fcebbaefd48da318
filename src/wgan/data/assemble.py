"""From rows to a :class:`~wgan.data.samples.Data`: hold some out, set the units, finish the report."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.cache import rows_of
from wgan.data.collect import number_labels
from wgan.data.images import is_deep
from wgan.data.progress import Progress
from wgan.data.report import Report
from wgan.data.samples import Data, Pictures, Units, Vectors, no_picture_options
from wgan.data.source import Source
from wgan.data.split import digests_of, duplicates_in, hash_of, split, split_notes
from wgan.errors import WganError

LARGEST = 1e30
"""The largest absolute value in vectors. Generated ones are given back as float32, which ends at 3.4e38, and may lie
far outside the data."""


def pictures(source: Source, options: DataConfig, progress: Progress, official: int | None = None) -> Data:
    """A data set of pictures.

    Args:
        source: Where they come from.
        options: Size, channels, held-out share.
        progress: Told how far the reading is.
        official: The number of samples before the official test split, if there is one.
    """
    rows = rows_of(source, options, progress)
    train, held = split(rows.digests, options.held_out, official)
    notes = [*rows.report.notes, *split_notes(rows.digests, len(train), len(held), official is not None)]
    report = replace(
        rows.report,
        count=len(np.union1d(train, held)),
        held_out=len(held),
        value_range=rows.report.value_range or (None if any(map(is_deep, rows.report.modes)) else (0.0, 255.0)),
        notes=notes,
    )
    return Data(
        name=source.name,
        shape=report.shape,
        train=Pictures(rows.images, train, rows.labels),
        held_out=Pictures(rows.images, held, rows.labels),
        report=report,
        units=Units(),
        content=hash_of(rows.digests),
        options=options,
    )


def vectors(
    name: str,
    place: str,
    array: NDArray[Any],
    labels: list[str] | None,
    options: DataConfig,
    official: int | None = None,
) -> Data:
    """A data set of vectors (N, D), each coordinate standardised by the training samples' mean and deviation.

    Args:
        name: Its name.
        place: Where it comes from, for messages.
        array: The vectors.
        labels: Their classes, or None.
        options: The held-out share.
        official: The number of samples before the official test split, if there is one.

    Raises:
        UsageError: An option is for pictures only.
        WganError: Some are not finite, or too large.
    """
    no_picture_options(options, name)
    array = np.array(array)  # so that what becomes of the caller's, or of a mapped file, changes nothing
    check_finite(array, place)
    if (largest := max(float(array.max()), -float(array.min()))) > LARGEST:
        raise WganError(
            f"{place} has absolute values up to {largest:.3g}, and at most {LARGEST:g} are allowed, so that what is "
            "generated from them fits into float32; divide them by a power of 10."
        )
    digests = digests_of(array)
    train, held = split(digests, options.held_out, official)
    units, notes = _standard_units(array[train])
    numbers, classes = number_labels(labels or [], None)
    report = Report(
        name=name,
        source=place,
        shape=(array.shape[1],),
        count=len(array),
        held_out=len(held),
        modes={str(array.dtype): len(array)},
        classes=classes,
        duplicates=duplicates_in(digests),
        value_range=(float(array.min()), float(array.max())),
        notes=notes + split_notes(digests, len(train), len(held), official is not None),
    )
    return Data(
        name=name,
        shape=report.shape,
        train=Vectors(array, units, train, numbers),
        held_out=Vectors(array, units, held, numbers),
        report=report,
        units=units,
        content=hash_of(digests),
        options=options,
    )


def _standard_units(array: NDArray[Any]) -> tuple[Units, list[str]]:
    """Mean and deviation of each coordinate (N, D) -> (D,); what is constant has no deviation, and stays as it is."""
    spread = array.std(0, dtype=np.float64)
    constant = (array.min(0) == array.max(0)) | (spread == 0)  # rounding may leave a constant one a deviation
    count = int(constant.sum())
    notes = [f"{count} of {array.shape[1]} coordinates are constant; samples have them as they are."]
    centre = np.where(constant, array[0].astype(np.float64), array.mean(0, dtype=np.float64))
    return Units(centre, np.where(constant, 0.0, spread)), notes if count else []


def check_finite(array: NDArray[Any], place: str) -> None:
    """Refuse NaN and infinite values.

    Raises:
        WganError: The message says how many samples have some.
    """
    if array.dtype.kind != "f":
        return
    step = max(1, 2**24 // max(1, array[0].size))
    bad = 0
    for start in range(0, len(array), step):
        finite = np.isfinite(array[start : start + step]).reshape(len(array[start : start + step]), -1)
        bad += int((~finite.all(1)).sum())
    if bad:
        raise WganError(f"{bad:,} of the {len(array):,} samples in {place} have NaN or infinite values; remove them.")
