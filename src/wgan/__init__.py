"""wgan: train a Wasserstein GAN on your own data, and believe the number it prints.

::

    import wgan

    run = wgan.train("photos/", size=64, time="10m")
    images = run.generator.sample(64, seed=0)  # uint8 (64, 64, 64, 3)

Nothing here imports torch before it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wgan.api import diagnose, load, resume, train
    from wgan.checkup import Diagnosis
    from wgan.compare import distance
    from wgan.config import DataConfig
    from wgan.data import open_data
    from wgan.distances.result import Estimate
    from wgan.errors import UsageError, WganError
    from wgan.measure import W1
    from wgan.model import Model
    from wgan.run import Run
    from wgan.trainer import Trainer

__version__ = "0.1.0"

_LAZY = {
    "train": "wgan.api",
    "resume": "wgan.api",
    "load": "wgan.api",
    "diagnose": "wgan.api",
    "distance": "wgan.compare",
    "open_data": "wgan.data",
    "DataConfig": "wgan.config",
    "Diagnosis": "wgan.checkup",
    "Estimate": "wgan.distances.result",
    "Model": "wgan.model",
    "Run": "wgan.run",
    "Trainer": "wgan.trainer",
    "UsageError": "wgan.errors",
    "W1": "wgan.measure",
    "WganError": "wgan.errors",
}

__all__ = [
    "W1",
    "DataConfig",
    "Diagnosis",
    "Estimate",
    "Model",
    "Run",
    "Trainer",
    "UsageError",
    "WganError",
    "__version__",
    "diagnose",
    "distance",
    "load",
    "open_data",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    missing = AttributeError(f"module 'wgan' has no attribute {name!r}")
    if name.startswith("_"):
        raise missing
    try:
        return import_module(f"wgan.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"wgan.{name}":
            raise
        raise missing from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
