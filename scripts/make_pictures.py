"""Train the three runs of the README and put their pictures into docs/images (about eight minutes on two cores).

Usage: python scripts/make_pictures.py [--download]

Fashion-MNIST is taken from this machine (Debian: apt-get install dataset-fashion-mnist), or downloaded if you say so.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

import wgan
from wgan.run import Run

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIDE, GAP = 466, 12


def main() -> None:
    """Train, and write samples.png (three panels) and curves.png."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        digits = wgan.train("digits", time="2m", out=root / "digits")
        clothes = wgan.train("fashion-mnist", time="3m", out=root / "clothes", download="--download" in sys.argv)
        ring = wgan.train("ring", preset="points", time="1m", out=root / "ring")
        IMAGES.mkdir(parents=True, exist_ok=True)
        side_by_side([digits, clothes, ring]).save(IMAGES / "samples.png", optimize=True)
        shutil.copy(clothes.curves, IMAGES / "curves.png")


def side_by_side(runs: list[Run]) -> Image.Image:
    """The last samples of each run, in one row."""
    page = Image.new("RGB", (len(runs) * (SIDE + GAP) - GAP, SIDE), "white")
    for number, run in enumerate(runs):
        with Image.open(run.sample_paths()[-1]) as picture:
            page.paste(picture.convert("RGB").resize((SIDE, SIDE)), (number * (SIDE + GAP), 0))
    return page


if __name__ == "__main__":
    main()
