"""The pictures that a run leaves behind while it trains."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wgan import pictures
from wgan.config import Config
from wgan.data.samples import Data
from wgan.errors import WganError
from wgan.networks.base import detached_copy
from wgan.run import Run
from wgan.seeds import rng
from wgan.trainer import Trainer
from wgan.view import View

_SHARE = 0.05  # of the time of training that redrawing curves and animation may take
_POINTS = 2000


class Sparingly:
    """Calls a function only as often as costs a small share of the time; a call tells whether it was done."""

    def __init__(self, function: Callable[[], None]) -> None:
        self.function, self._next = function, 0.0

    def __call__(self, now: bool = False) -> bool:
        started = time.monotonic()
        if not now and started < self._next:
            return False
        self.function()
        ended = time.monotonic()
        self._next = ended + (ended - started) / _SHARE
        return True


class Gallery:
    """Draws a run's pictures: grids of images, scatter plots of vectors, curves, the animation, TensorBoard.

    Args:
        run: Whose folder they go to.
        trainer: Whose generator draws them, from noise that is fixed by the seed.
        data: The real samples and their units.
        config: What the pictures are labelled with.
        records: All records, to which training adds; the file may have been touched since.
        view: Where it is said which of them cannot be read again.
    """

    def __init__(
        self,
        run: Run,
        trainer: Trainer,
        data: Data,
        config: Config,
        records: Sequence[Mapping[str, Any]],
        view: View,
    ) -> None:
        self.run, self.trainer, self.data, self.config, self.view = run, trainer, data, config, view
        self.records = records
        self.curves, self.animation = Sparingly(self._curves), Sparingly(self._animation)
        self.flat = len(data.shape) == 1
        self.count = _POINTS if self.flat else _grid_side(data.shape[-1]) ** 2
        self.latents = trainer.latent.draw(self.count, rng(config.run.seed, "grid"))
        self._real: NDArray[Any] | None = None
        self._board: Any = None
        self._damaged = set[Path]()
        if config.run.tensorboard:
            self._board = require_tensorboard()(run.tensorboard, purge_step=trainer.step + 1)

    def reals(self) -> None:
        """Real samples, from the training part."""
        if self.flat:
            self._scatter(self.run.reals, self._reals(), self._reals()[:0], title="real samples")
        else:
            pictures.save_grid(self.run.reals, self._reals())
        if self._board is not None and not self.flat:
            self._board.add_images("reals", self._reals(), 0, dataformats="NHWC")

    def samples(self) -> None:
        """Samples of the averaged generator on fixed noise."""
        step, path = self.trainer.step, self.run.sample_path(self.trainer.step)
        fakes = self._fakes()
        if not self.flat:
            pictures.save_grid(path, fakes)
            if self._board is not None:
                self._board.add_images("samples", fakes, step, dataformats="NHWC")
            return
        score = self._score if self.data.shape == (2,) else None
        self._scatter(path, self._reals(), fakes, score=score, title=f"step {step:,}")

    def scalars(self, record: Mapping[str, Any]) -> None:
        """A record's numbers, to TensorBoard if it is on."""
        if self._board is None:
            return
        for name, value in record.items():
            if isinstance(value, int | float) and name != "step":
                self._board.add_scalar(name, value, record["step"])

    def close(self) -> None:
        """Finish the TensorBoard file."""
        if self._board is not None:
            self._board.close()

    def _scatter(self, *given: Any, **words: Any) -> None:
        from wgan.curves import scatter

        scatter(*given, modes=self.data.modes, **words)

    def _curves(self) -> None:
        from wgan.curves import curves  # which imports matplotlib for a second: after the first picture

        constraint = self.trainer.constraint
        curves(
            self.run.curves,
            self.records,
            title=f"{self.data.name}: {self.config.loss.objective}, {constraint}",
            arbitrary_under=constraint.arbitrary_under or "",
            classic=not self.trainer.objective.measures_distance,
            slope=constraint.slope[1] if constraint.slope else None,
        )

    def _animation(self) -> None:
        while paths := [path for path in self.run.sample_paths() if path not in self._damaged]:
            try:
                pictures.animate(self.run.animation, [(path, f"step {int(path.stem):,}") for path in paths])
            except pictures.FrameError as error:
                if not self._damaged:
                    self.view.note(
                        f"{error.path} cannot be read: {self.run.animation.name} does without such pictures."
                    )
                self._damaged.add(error.path)
            else:
                break

    def _reals(self) -> NDArray[Any]:
        if self._real is None:
            index = self.data.train.some(self.count, rng(self.config.run.seed, "reals"))
            self._real = self.data.units.to_user(self.data.train.batch(index))
        return self._real

    def _fakes(self) -> NDArray[Any]:
        module, move = self.trainer.average.module, self.trainer.to_device
        with torch.no_grad():
            parts = [module(move(z)).float().cpu() for z in self.latents.split(self.trainer.batch)]
        return self.data.units.to_user(torch.cat(parts))

    def _score(self, points: NDArray[Any]) -> NDArray[Any]:
        critic, move = detached_copy(self.trainer.critic).eval(), self.trainer.to_device
        with torch.no_grad():
            scores = critic(move(self.data.units.from_user(points))).flatten()
        return np.asarray(scores.double().cpu().numpy())


def _grid_side(width: int) -> int:
    """Columns of a grid: 8 of small pictures, fewer of large ones, so that it fits a screen."""
    return max(2, min(8, 1024 // width))


def require_tensorboard() -> Any:
    """TensorBoard's writer.

    Raises:
        WganError: The extra is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise WganError("--tensorboard needs another package: pip install tensorboard") from error
    return SummaryWriter
