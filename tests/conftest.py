"""Every test has a cache folder of its own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("WGAN_CACHE", str(folder))
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let help texts be renewed after a look at what changed."""
    parser.addoption("--update-snapshots", action="store_true", help="write the help texts anew")
