"""The numbers and pictures of docs/theory.md are those that the code makes.

A number of the text has a comment behind it with its name in the figure's summary. ``name`` alone: it is the same, as
far as digits are shown; ``name~``: within a fifth (networks are trained, and processors differ); ``name~~``: its order
of magnitude; ``name few``: no more than half of the modes.
"""

import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wgan import figures
from wgan.figures import clip_vs_penalty
from wgan.registry import FIGURES

DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = dict(re.findall(r"<!--figure: (\S+)-->(.*?)(?=\n## |\Z)", (DOCS / "theory.md").read_text(), re.S))
NUMBER = re.compile(r"([\d.e+-]*\d|infinite)( %)?<!--([\w.]+?)(~~|~| few|)-->")
QUICK = ("parallel-lines", "distances", "lipschitz", "dirac-gan", "vanishing-gradient")


made = cache(figures.make)


def quoted(name: str) -> list[tuple[str, float, str, str]]:
    """Key, value, the value as written, and the kind of each number in a chapter."""
    found = NUMBER.findall(CHAPTERS[name])
    return [(k, float(v.replace("infinite", "inf")) / (100 if per else 1), v, kind) for v, per, k, kind in found]


def test_every_figure_has_its_chapter() -> None:
    assert sorted(CHAPTERS) == sorted(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_every_chapter_has_its_picture_and_no_comment_is_misread(name: str) -> None:
    path = DOCS / "images" / "figures" / f"{name}.png"
    assert f"(images/figures/{name}.png)" in CHAPTERS[name]
    with Image.open(path) as picture:
        assert picture.width == 1200
    assert path.stat().st_size < 150_000
    assert len(quoted(name)) == CHAPTERS[name].count("<!--") >= 3


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FIGURES]
)
def test_numbers_of_the_text_are_those_of_the_figure(name: str) -> None:
    summary = made(name).numbers.summary()
    for key, value, written, kind in quoted(name):
        found = float(str(summary[key]).replace("infinite", "inf"))
        if kind == " few":
            assert value <= 4 and found <= 4, key
        elif kind == "~~":
            assert found / 30 < value < found * 30, (key, found)
        elif kind == "~":
            assert found == pytest.approx(value, rel=0.2), key
        else:
            digits = written.partition("e")[0].replace(".", "").lstrip("0")
            assert found == pytest.approx(value, rel=0.6 * 10.0 ** (1 - len(digits)) if len(digits) > 1 else 0.1), key


@pytest.mark.slow
def test_only_the_penalty_leaves_the_critic_a_summit_at_each_gaussian() -> None:
    numbers = made("clip-vs-penalty").numbers
    assert isinstance(numbers, clip_vs_penalty.Critics)
    ticks = np.linspace(-clip_vs_penalty.HALF, clip_vs_penalty.HALF, clip_vs_penalty.SIDE)
    angles = np.arange(16) * math.pi / 8
    for method in clip_vs_penalty.SURFACES:
        rows, columns = (np.abs(ticks[:, None] - math.sqrt(2) * f(angles)).argmin(axis=0) for f in (np.sin, np.cos))
        around = numbers.scores[method, "ring"][rows, columns]
        at, between = around[::2], around[1::2]
        summits = (at > between) & (at > np.roll(between, 1))
        assert summits.sum() == 8 if method == "gp" else summits.sum() < 8
    for method in ("clip_0.1", "clip_0.01"):
        assert np.abs(numbers.weights[method]).max() == pytest.approx(float(method[5:]))
