"""Compute the figures of docs/theory.md and put them into docs/images/figures (about three minutes on one core).

Usage: python scripts/make_figures.py [NAME ...]
"""

import sys
from pathlib import Path

from PIL import Image

from wgan import figures
from wgan.registry import FIGURES

IMAGES = Path(__file__).parents[1] / "docs" / "images" / "figures"
SIDE = 1200


def main() -> None:
    """Draw the figures named, or all, with a palette and at most SIDE pixels wide, so that files stay small."""
    for name in sys.argv[1:] or FIGURES:
        path = IMAGES / f"{name}.png"
        print(f"{name}: {figures.make(name, out=path)}")
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize(
                (SIDE, SIDE * picture.height // picture.width), Image.Resampling.LANCZOS
            )
        # Median cut, the usual method, would drop the rare colours: those of the thin lines.
        small.quantize(160, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main()
