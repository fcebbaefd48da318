"""Named sets of pictures: one function each, and its line in ``wgan.registry.DATASETS``."""

from collections.abc import Sequence
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from wgan.config import DataConfig
from wgan.data.arrays import ArrayPictures, Origin
from wgan.data.assemble import pictures
from wgan.data.fetch import Remote, find
from wgan.data.official import CIFAR_FILES, CIFAR_FOLDER, read_cifar, read_idx_pair
from wgan.data.progress import Progress
from wgan.data.samples import Data
from wgan.errors import WganError

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

MNIST = Remote(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    (IDX_FILES,),
)

FASHION_MNIST = Remote(
    "fashion-mnist",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    (IDX_FILES,),
)

CIFAR10 = Remote(
    "cifar10",
    ("https://www.cs.toronto.edu/~kriz/",),
    {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    (CIFAR_FILES, tuple(f"{CIFAR_FOLDER}/{name}" for name in CIFAR_FILES)),
)

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def digits(options: DataConfig, progress: Progress) -> Data:
    """10,000 of MNIST's training digits that ship with the package (see digits.txt beside them)."""
    with as_file(files("wgan.data") / "digits.npz") as path, np.load(path, allow_pickle=False) as found:
        images, labels = found["images"][..., None], found["labels"]
    origin = Origin("digits", "shipped with wgan", "npz")
    return pictures(_labelled(images, labels, DIGITS, origin, options), options, progress)


def mnist(options: DataConfig, progress: Progress) -> Data:
    """MNIST with its official test split held out (LeCun et al., 1998)."""
    return _idx(MNIST, DIGITS, options, progress)


def fashion_mnist(options: DataConfig, progress: Progress) -> Data:
    """Fashion-MNIST with its official test split held out (Xiao et al., 2017)."""
    return _idx(FASHION_MNIST, CLOTHES, options, progress)


def cifar10(options: DataConfig, progress: Progress) -> Data:
    """CIFAR-10 with its official test split held out (Krizhevsky, 2009)."""
    paths = find(CIFAR10, options, progress)
    images, labels, train = read_cifar(paths)
    origin = Origin("cifar10", str(paths[0]), "CIFAR binary")
    return pictures(_labelled(images, labels, THINGS, origin, options), options, progress, train)


def _idx(remote: Remote, classes: Sequence[str], options: DataConfig, progress: Progress) -> Data:
    paths = find(remote, options, progress)
    train, train_labels = read_idx_pair(paths[0], paths[1])
    test, test_labels = read_idx_pair(paths[2], paths[3])
    if train.shape[1:] != test.shape[1:]:
        raise WganError(f"{paths[0]} and {paths[2]} have pictures of different sizes; get the files again.")
    images, labels = np.concatenate([train, test]), np.concatenate([train_labels, test_labels])
    origin = Origin(remote.name, str(paths[0].parent), "IDX")
    return pictures(_labelled(images, labels, classes, origin, options), options, progress, len(train))


def _labelled(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: Sequence[str],
    origin: Origin,
    options: DataConfig,
) -> ArrayPictures:
    """Pictures whose labels are positions in ``classes``."""
    if labels.max() >= len(classes):
        raise WganError(f"{origin.place} has the label {labels.max()}, but {origin.name} has {len(classes)} classes.")
    return ArrayPictures(images, [classes[label] for label in labels], origin, options, classes)
