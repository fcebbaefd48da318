"""Drawings of a run: its training curves, and its samples when the data are points.

The colours of Okabe and Ito are told apart by colour-blind readers too. Everything is drawn with matplotlib's
objects, never with pyplot, so that nothing global changes. Files appear whole or not at all.
"""

import math
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wgan.arrays import Floats
from wgan.errors import UsageError
from wgan.files import write_atomically
from wgan.scales import choose_scale, label_ticks

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
MANY = 100  # with more records than this, a smooth line is drawn over the raw one
DRAWN, DOTS = 1000, 4000  # points of a curve, and of a scatter plot
EARLY = 0.02  # of all steps, in which a critic may be anything
Score = Callable[[Floats], NDArray[Any]]
LAYOUTS = {1: "A", 2: "A;B", 3: "AA;BC", 4: "AAA;BCD", 5: "AAAABB;CCDDEE"}


class Line(NamedTuple):
    """One curve of a panel; its standard error, if it has one, is drawn as a band."""

    key: str
    label: str
    colour: str
    error: str = ""
    style: str = "-"


class Panel(NamedTuple):
    """One diagram: its words, its curves, a dotted line at the value hoped for, and a grey band of noise around 0.

    Its values are measured at a step, or are means of all since the record before.
    """

    title: str
    ylabel: str
    lines: tuple[Line, ...]
    level: float | None = None
    noise: str = ""
    means: bool = False


def curves(
    path: Path | str,
    records: Sequence[Mapping[str, Any]],
    *,
    title: str = "",
    arbitrary_under: str = "",
    classic: bool = False,
    slope: float | None = None,
) -> None:
    """Draws a run's training curves over generator steps, a PNG of 1200 x 800 pixels.

    Values that are missing, None or not finite are left out, and so is a panel without any (the penalty under
    clipping, the Wasserstein estimate of a classic GAN).

    Args:
        path: The PNG to write.
        records: The run's records in order, mappings with some of the keys of metrics.jsonl.
        title: A line above the panels.
        arbitrary_under: The constraint, if it leaves the estimate known only up to a factor (weight clipping, ...).
        classic: Whether the losses are a classic GAN's, which estimate no Wasserstein distance.
        slope: The critic's gradient norm that is hoped for, if there is one.
    """
    figure = Figure(figsize=(12, 8), dpi=100)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    if title:
        short = textwrap.shorten(title, 110, placeholder=" …")
        figure.suptitle(short, x=0.012, ha="left", fontsize=14, weight="bold", parse_math=False)
    panels = _panels(arbitrary_under, classic, slope)
    tables = {line.key: table(records, line.key, line.error) for p in panels for line in p.lines}
    tables |= {line.key: _whole(tables[line.key]) for p in panels if p.means for line in p.lines}
    tables |= {p.noise: table(records, p.noise) for p in panels}
    drawn = [p for p in panels if any(len(tables[line.key]) for line in p.lines)]
    if drawn:
        for axes, panel in zip(figure.subplot_mosaic(LAYOUTS[len(drawn)]).values(), drawn, strict=True):
            _draw(axes, panel, tables)
    else:
        figure.text(0.5, 0.5, "no records yet", ha="center", fontsize=16, color=GREY)
    _save(figure, Path(path))


def table(records: Sequence[Mapping[str, Any]], key: str, error: str = "") -> Floats:
    """Rows (n, 3) of step, value and standard error (0 where unknown) of the records with a finite value."""
    rows = [[record.get(name) for name in ("step", key, error)] for record in records]
    known = [[v if isinstance(v, Real) and math.isfinite(v) else None for v in row] for row in rows]
    kept = [(step, value, e or 0.0) for step, value, e in known if step is not None and value is not None]
    return np.array(kept, dtype=np.float64).reshape(-1, 3)


def _whole(rows: Floats) -> Floats:
    """The rows without the extra record that was made when a run stopped: a mean over few steps jumps."""
    if len(rows) < 3:
        return rows
    intervals = np.diff(rows[:, 0])
    own, after = intervals[1:], np.r_[intervals[2:], np.inf]
    few = (own < intervals[:-1] / 5) & (own < after / 5)
    return rows[np.r_[True, True, ~few]]


def scatter(
    path: Path | str,
    real: NDArray[Any],
    fake: NDArray[Any],
    *,
    modes: NDArray[Any] | None = None,
    score: Score | None = None,
    title: str = "",
) -> None:
    """Draws generated points over real ones, a PNG of 800 x 800 pixels.

    The limits depend on the real points alone, so that the frames of an animation stand still; generated
    points beyond them are counted in a note. One dimension gives two histograms; more than two are projected
    on the first two principal axes of the real points. A side without points is left out; without real points
    the limits and axes are those of the generated ones.

    Args:
        path: The PNG to write.
        real: Real points (N, D).
        fake: Generated points (M, D).
        modes: Points (K, D) to mark with crosses, such as the centres of a mixture.
        score: The critic, points (P, 2) -> scores (P,), drawn as contours if D is 2.
        title: A line above the drawing.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or len(real) + len(fake) == 0:
        raise UsageError(f"points are {real.shape} and {fake.shape}; give (N, D) and (M, D), one of them not empty.")
    figure = Figure(figsize=(8, 8), dpi=100)
    # Fixed positions: a layout engine would move them with the width of the numbers, and shake an animation.
    axes = figure.add_axes((0.1, 0.075, 0.86, 0.79) if score is None else (0.1, 0.085, 0.77, 0.77))
    hidden = (_histograms if real.shape[1] == 1 else _dots)(axes, real, fake, modes, score)
    _legend(axes, textwrap.shorten(title, 70, placeholder=" …"), f"{hidden:,} outside" if hidden else "")
    _save(figure, Path(path))


def limits(real: Floats) -> tuple[Floats, Floats]:
    """The lower and upper corner, each (D,), of a cube around points (N, D), with a margin on every side."""
    low, high = real.min(axis=0), real.max(axis=0)
    half = 0.625 * float((high - low).max()) or 1.0
    return (low + high) / 2 - half, (low + high) / 2 + half


def count_outside(points: Floats, low: Floats, high: Floats) -> int:
    """How many of the points (N, D) are not between the corners (D,); one that is not a number is outside."""
    return int((~((points >= low) & (points <= high)).all(axis=1)).sum())


def principal_axes(real: Floats) -> tuple[Floats, Floats]:
    """The first two principal axes of points (N, D), as columns (D, 2), and their shares of variance (2,)."""
    centred = _thin(real) - real.mean(axis=0)
    # Two rows of zeros change no axis, and give two axes even to a single point.
    _, sizes, rows = np.linalg.svd(np.pad(centred, ((0, 2), (0, 0))), full_matrices=False)
    signs = np.sign(rows[[0, 1], np.abs(rows[:2]).argmax(axis=1)])
    return (rows[:2] * signs[:, None]).T, sizes[:2] ** 2 / ((sizes**2).sum() or 1.0)


def _panels(arbitrary_under: str, classic: bool, slope: float | None) -> list[Panel]:
    training = Line("wasserstein", "training", BLUE)
    held_out = Line("wasserstein_heldout", "held out ± standard error", ORANGE, "wasserstein_stderr")
    bound = Line("wasserstein_bound", "certified lower bound (99.9 %)", GREEN, style="--")
    gap = Line("gap", "gap ± standard error", BLUE, "gap_stderr")
    critic, generator = Line("critic_loss", "critic", BLUE), Line("generator_loss", "generator", ORANGE)
    between = Line("gradient_norm", "in between", BLUE)
    generated = Line("gradient_norm_fake", "at generated", ORANGE)
    estimate = "mean score of real\n\N{MINUS SIGN} mean score of generated"
    estimate += f"\n(arbitrary scale under {arbitrary_under})" if arbitrary_under else ""
    losses = "Losses" + " (classic GAN: no Wasserstein estimate)" * classic
    panels = [
        Panel("Wasserstein estimate", estimate, (training, held_out, bound), noise="noise_floor"),
        Panel("Overfitting", "mean score: trained on\n\N{MINUS SIGN} held out", (gap,), level=0.0),
        Panel(losses, "loss", (critic, generator), means=True),
        Panel("Penalty", "penalty", (Line("penalty", "in the critic's loss", GREEN),), means=True),
        Panel("Gradient norm", "critic's gradient norm", (between, generated), level=slope),
    ]
    return panels[2:] if classic else panels


def _draw(axes: Axes, panel: Panel, tables: Mapping[str, Floats]) -> None:
    series, early = [], []
    for line in panel.lines:
        if len(rows := tables[line.key]):
            signs = (-1, 1) if panel.level == 0 else (0,)  # around 0 there must be room for the errors
            series += [rows[:, 1] + sign * rows[:, 2] for sign in signs]
            early += [int((rows[:, 0] < EARLY * rows[-1, 0]).sum())] * len(signs)
            _plot(axes, line, rows)
    if panel.level is not None:
        axes.axhline(panel.level, color=GREY, linestyle=":", linewidth=1.4)
        series.append(np.full_like(series[0], panel.level))
    if len(noise := tables[panel.noise]):
        steps, floor, _ = _thin(noise).T
        axes.fill_between(steps, -floor, floor, color=GREY, alpha=0.18, linewidth=0, label="noise")
    scale = choose_scale(series, early)
    low, high = scale.low, scale.high
    if len(noise) and scale.name == "linear" and low is not None and high is not None:
        low, high = min(low, -0.08 * high), max(high, -0.08 * low)  # with 0, around which the noise is
    axes.set_yscale(scale.name, **({"linthresh": scale.threshold} if scale.name == "symlog" else {}))
    axes.set(xlabel="generator steps", ylabel=panel.ylabel, xlim=(0, None), ylim=(low, high))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    label_ticks(axes)
    _legend(axes, panel.title, "early outliers cut off" if scale.low is not None else "")


def _plot(axes: Axes, line: Line, rows: Floats) -> None:
    rows = _thin(rows)
    if len(rows) > MANY:
        axes.plot(*rows.T[:2], color=line.colour, linewidth=0.6, alpha=0.35)
        rows = np.column_stack([rows[:, 0], _smooth(rows[:, 1]), _smooth(rows[:, 2])])
    steps, middle, error = rows.T
    marker = "o" if len(rows) <= 20 else ""
    axes.plot(steps, middle, marker + line.style, color=line.colour, ms=4, label=line.label)
    if error.any():
        axes.errorbar(steps[:1], middle[:1], error[:1], color=line.colour, linewidth=1.2)
        axes.fill_between(steps, middle - error, middle + error, color=line.colour, alpha=0.22, linewidth=0)


def _smooth(values: Floats) -> Floats:
    """Running median (n,) of nearby values: unlike a mean, it smears no outlier."""
    reach = len(values) // 60
    return np.array(np.median(sliding_window_view(np.pad(values, reach, mode="reflect"), 2 * reach + 1), axis=1))


def _histograms(axes: Axes, real: Floats, fake: Floats, modes: NDArray[Any] | None, _score: Score | None) -> int:
    low, high = limits(real if len(real) else fake)
    edges = np.linspace(low[0], high[0], 61)
    for points, colour, label in ((real, BLUE, "real"), (fake, ORANGE, "generated")):
        if not len(points):
            continue
        density = np.histogram(points, edges)[0] / len(points) / np.diff(edges)
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.3)
        axes.stairs(density, edges, color=colour, linewidth=1.6, label=label)
    for mode in [] if modes is None else np.ravel(modes):
        axes.axvline(mode, color="black", linewidth=0.8, linestyle=":")
    axes.set(xlim=(low[0], high[0]), xlabel="value", ylabel="density")
    return count_outside(fake, low, high)


def _dots(axes: Axes, real: Floats, fake: Floats, modes: NDArray[Any] | None, score: Score | None) -> int:
    names = ["x", "y"]
    shown = real if len(real) else fake
    if real.shape[1] > 2:
        directions, shares = principal_axes(shown)
        names = [f"principal axis {i} ({100 * share:.0f} %)" for i, share in enumerate(shares, 1)]
        real, fake, shown = real @ directions, fake @ directions, shown @ directions
        modes, score = None if modes is None else np.asarray(modes) @ directions, None
    low, high = limits(shown)
    if score is not None:
        _contours(axes, score, low, high)
    if len(real):
        axes.plot(*_thin(real, DOTS).T, "o", ms=3, mew=0, alpha=0.5, color="#33475b", label="real")
    if len(fake):
        axes.plot(*_thin(fake, DOTS).T, "o", ms=3.5, mew=0, alpha=0.7, color=ORANGE, label="generated")
    if modes is not None:
        axes.plot(*np.transpose(modes), "x", ms=6, mew=1.4, color="black", label="modes")
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xlabel=names[0], ylabel=names[1])
    return count_outside(fake, low, high)


def _contours(axes: Axes, score: Score, low: Floats, high: Floats) -> None:
    x, y = (np.linspace(low[i], high[i], 100) for i in (0, 1))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    values = np.ma.masked_invalid(np.asarray(score(points), np.float64).reshape(100, 100))
    if values.count():
        filled = axes.contourf(x, y, values, levels=16, cmap="PuBu", alpha=0.45)
        axes.figure.colorbar(filled, cax=axes.inset_axes((1.02, 0, 0.023, 1)), label="critic score")


def _thin(rows: Floats, count: int = DRAWN) -> Floats:
    """At most count rows, evenly spread, with the first and the last."""
    return np.take(rows, np.linspace(0, len(rows) - 1, min(len(rows), count)).round().astype(int), axis=0)


def _legend(axes: Axes, title: str, note: str) -> None:
    """A title and a note at its right; under them, still above the data, a row of labels."""
    axes.set_title(title, loc="left", fontsize=12, weight="bold", pad=28, parse_math=False)
    axes.set_title(note, loc="right", fontsize=10, color=GREY, pad=28)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, columnspacing=1.2, frameon=False, borderaxespad=0.1)


def _save(figure: Figure, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="png"), parents=True)
