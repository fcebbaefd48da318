"""The Python face of the package: what the command line does, with keywords for flags."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wgan import options
from wgan.config import Config, DataConfig
from wgan.data import holds_vectors, place_of
from wgan.errors import UsageError
from wgan.files import at_home
from wgan.surroundings import undisturbed

if TYPE_CHECKING:
    from wgan.checkup import Diagnosis
    from wgan.model import Model
    from wgan.run import Run

Location = str | PathLike[str]


def configure(
    preset: str | None, config: Location | Config | None, given: dict[str, Any], source: Any = None
) -> tuple[Config, str]:
    """The configuration from a preset, a file and single options (later ones win), and a name for the run.

    The data are ``source`` if they are an object. With neither preset nor file, vectors in an array or a file get the
    preset ``points``.
    """
    for name in ("generator", "critic"):
        if hasattr(given.get(name), "forward"):
            raise UsageError(f"{name} is a network of your own; give it to wgan.Trainer, which trains any module.")
    from_file: dict[str, Any] = {}
    if isinstance(config, Config):
        from_file = options.flatten(config)
    elif config is not None:
        from_file = options.read_toml(at_home(config))
    chosen = preset
    if preset is None and config is None:
        data = given.get("data", DataConfig.data) if source is None else source
        chosen = "points" if holds_vectors(data) else "default"
    from_preset = options.preset(chosen) if chosen else {}
    made = options.make_config(from_preset, from_file, given)
    data_name = Path(made.data.data).stem if source is None else "object"
    return made, f"{data_name}-{chosen or 'config'}"


@undisturbed
def train(
    data: Any = None,
    *,
    preset: str | None = None,
    config: Location | Config | None = None,
    out: Location | None = None,
    init_from: "Location | Run | None" = None,
    quiet: bool = False,
    **given: Any,
) -> "Run":
    """Train a GAN and return its run.

    Args:
        data: A name, a folder or .zip of pictures, a .npy/.npz file, an array, a tensor, or any object with
            ``__len__`` and ``__getitem__``.
        preset: Where to begin: a name that ``wgan presets`` lists; by default ``points`` for vectors in an
            array or a file, else ``default``.
        config: A ``config.toml``, or the ``config`` of a run, whose values go over the preset's.
        out: The run's folder; by default the next number under ``runs/``.
        init_from: A run, its folder or a ``generator.safetensors`` whose weights to begin with.
        quiet: Show nothing.
        **given: Any field of the configuration: ``size=64``, ``time="10m"``, ``constraint="lp"``, ...

    Raises:
        UsageError: A name or a value is not allowed.
        WganError: The data cannot be used, or training diverged.
        KeyboardInterrupt: Ctrl-C came; everything is saved, and the message says how to go on.
    """
    from wgan import loop
    from wgan.console import make_view
    from wgan.run import Run

    named = isinstance(data, str | PathLike)
    source = None if named or data is None else data
    given |= {"data": place_of(data)} if named else {}
    made, name = configure(preset, config, given, source)
    weights = init_from.folder if isinstance(init_from, Run) else init_from
    if not isinstance(weights, str | PathLike | None):
        raise UsageError(f"init_from is {weights!r}; give a run, its folder or a generator.safetensors.")
    return loop.train(made, source=source, out=out, name=name, init_from=weights, view=make_view(quiet))


@undisturbed
def resume(run: "Location | Run", data: Any = None, *, quiet: bool = False, **changes: Any) -> "Run":
    """Go on with a run exactly where its last save is.

    Args:
        run: The run or its folder.
        data: The data again, if it was an object, or its new place, if it has moved.
        quiet: Show nothing.
        **changes: A new budget, intervals, catching up, threads, processes, device or TensorBoard, or the data's place.

    Raises:
        UsageError, WganError, KeyboardInterrupt: As :func:`train`.
    """
    from wgan import loop
    from wgan.console import make_view
    from wgan.run import Run

    return loop.resume(Run.open(run), changes, source=data, view=make_view(quiet))


def load(path: "Location | Run") -> "Model":
    """The generator of a run or its folder, or of a ``generator.safetensors``.

    Raises:
        UsageError: It is neither a run nor a path.
        WganError: There is none.
    """
    from wgan.model import Model
    from wgan.run import Run

    if isinstance(path, str | PathLike) and at_home(path).is_file():
        return Model.load(at_home(path))
    return Run.open(path).generator


@undisturbed
def diagnose(run: "Location | Run", data: Any = None) -> "Diagnosis":
    """Say what is wrong with a run, if anything is; nothing in it is changed.

    Args:
        run: The run or its folder.
        data: The data again, if it was an object, or its new place, if it has moved.

    Returns:
        Findings with their evidence and what to do.

    Raises:
        WganError: It is not a run, has no records yet, or cannot be looked at with the data that are given.
    """
    from wgan.checkup import check_up
    from wgan.run import Run

    return check_up(Run.open(run), data)
