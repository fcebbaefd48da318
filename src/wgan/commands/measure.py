"""`wgan distance` and `figure`."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from wgan.commands.answers import answer, answer_table
from wgan.commands.flags import DataFlags, Json, Whole, given_flags
from wgan.console import make_view
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.options import flag
from wgan.registry import DISTANCES

_METHODS = "; ".join(
    ["critic (W1 by critics trained for it, with a certified lower bound)"]
    + [f"{name} ({entry.help})" for name, entry in DISTANCES.items()]
)

_HISTOGRAMS = (
    "A and B are histograms of the same bins, each a .npy/.npz file or numbers with commas, as 3,5,10: counts if all "
    "are whole, else probabilities. Total variation, Kullback-Leibler divergence, cross entropy, Jensen-Shannon "
    "divergence and earth mover's distance are answered at once."
)


def distance(
    a: str,
    b: str,
    /,
    *,
    method: Annotated[str, Parameter(help=f"auto, or one of {_METHODS}.")] = "auto",
    samples: Whole | None = None,
    split: Literal["all", "train", "held-out"] = "all",
    time: str | None = None,
    steps: Whole | None = None,
    null: Annotated[bool, Parameter(negative="")] = False,
    seed: Whole = 0,
    histograms: Annotated[bool, Parameter(help=_HISTOGRAMS, negative="")] = False,
    positions: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    cost: str | None = None,
    as_json: Json = False,
    flags: DataFlags = None,
) -> None:
    """Measure how far apart two sets of samples are, with an error, or two histograms.

    Parameters
    ----------
    a
        A name, a folder or .zip of pictures, a .npy/.npz file, a run's folder or a generator.safetensors.
    b
        The same; its pictures are brought to the size and channels of those of A.
    samples
        Use at most this many samples a side; of a generator, draw this many. [default: all, as far as the method can]
    split
        Which samples of a data set to use.
    time
        How long critics are trained: 90s, 10m; chooses the method critic. [default: 60s, where critics are trained]
    steps
        Steps of each of these critics instead, which makes the answer repeatable.
    null
        Let the method critic measure two halves of A too, which doubles its time; the other methods always do.
    seed
        Chooses samples, and the parts into which they are cut to find the error.
    positions
        Where the bins of histograms are on the line, in a file or with commas. [default: 0,1,2,...]
    cost
        What it costs to move from each bin of A to each of B, in place of the line: a .npy/.npz file of shape (K, L).
    """
    if histograms or positions is not None or cost is not None:
        usual = {"method": "auto", "split": "all", "null": False, "seed": 0}
        given: dict[str, Any] = {
            "method": method,
            "samples": samples,
            "split": split,
            "time": time,
            "steps": steps,
            "null": null,
            "seed": seed,
        }
        given |= given_flags(flags)
        _of_histograms(a, b, positions, cost, [name for name in given if given[name] != usual.get(name)], as_json)
        return
    from wgan import compare

    view = make_view(as_json)
    try:
        found = compare.distance(
            a,
            b,
            method=method,
            samples=samples,
            seed=seed,
            split=split,
            time=time,
            steps=steps,
            null=null,
            progress=view.progress,
            **given_flags(flags),
        )
    finally:
        view.end()
    answer(found.to_json(), as_json, str(found))


def _of_histograms(a: str, b: str, positions: str | None, cost: str | None, given: list[str], as_json: bool) -> None:
    """Answer with the distances of two histograms, for which other flags that are given do nothing.

    Raises:
        UsageError: There is such a flag, or the histograms do not suit each other.
        WganError: A file cannot be read.
    """
    if given:
        raise UsageError(f"{flag(given[0])}: that is for samples, and histograms have none; leave it out.")
    from wgan.histograms import compare_histograms, read_numbers

    found = compare_histograms(
        read_numbers(a, "A"),
        read_numbers(b, "B"),
        positions=None if positions is None else read_numbers(positions, "--positions"),
        cost=None if cost is None else read_numbers(cost, "--cost", commas=False),
    )
    answer(found.to_json(), as_json, str(found))


def figure(
    name: str | None = None,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    seed: Whole = 0,
    as_json: Json = False,
) -> None:
    """Compute one of the papers' figures and draw it; each takes less than a minute.

    Parameters
    ----------
    name
        Which one; without a name they are listed.
    out
        The PNG to write. [default: NAME.png]
    seed
        Which random numbers; only figures for which networks are trained have any.
    """
    from wgan.registry import FIGURES

    if out is not None and name is None:
        raise UsageError("--out: say which figure to draw there, as in: wgan figure dirac-gan --out x.png")
    if name is None:
        answer_table({name: entry.help for name, entry in FIGURES.items()}, as_json)
        return
    from wgan.figures import make

    place = at_home(out or f"{name}.png")
    drawing = make(name, seed, place)
    value = {"figure": name, "out": str(place), "seed": seed, **drawing.numbers.summary()}
    answer(value, as_json, f"{name} in {place}\n{drawing}")
