"""How a command answers: one JSON object or a text on standard output, everything else on standard error."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wgan.errors import WganError

if TYPE_CHECKING:
    from wgan.run import Run


def answer(value: Mapping[str, Any], as_json: bool, text: str) -> None:
    """Print a result as JSON or as text."""
    if as_json or text:
        try:
            print(json.dumps(value, allow_nan=False) if as_json else text, flush=True)  # noqa: T201
        except BrokenPipeError:
            raise
        except OSError as error:
            raise WganError(f"the answer cannot be written to standard output: {error.strerror}.") from error


def answer_table(rows: Mapping[str, str], as_json: bool) -> None:
    """Print names and what they mean."""
    width = max(map(len, rows))
    answer(rows, as_json, "\n".join(f"{name:{width}}  {text}" for name, text in rows.items()))


def answer_run(run: "Run", as_json: bool, quiet: bool) -> None:
    """Print how a run ended."""
    from wgan.overview import closing

    answer({"run": str(run.folder), **run.summary}, as_json, "" if quiet else closing(run))
