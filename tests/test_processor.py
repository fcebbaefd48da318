"""What is known of the processor, and what is made of it."""

import os
from pathlib import Path

import pytest
import torch

from wgan import processor
from wgan.build import set_threads
from wgan.data.files import MOST_WORKERS, Files


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine with more cores than threads are of use for reading."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return 64


def test_training_takes_all_cores_and_reading_some(
    many_cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    assert processor.cores() == many_cores
    assert set_threads(None) == many_cores
    assert set_threads(None, processes=4) == many_cores // 4
    assert taken == [many_cores, many_cores // 4]
    assert Files(tmp_path, [], [], open).workers == MOST_WORKERS < many_cores


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processor.cores() == 6


@pytest.mark.parametrize(("known", "tiles"), [({}, False), ({"amx_bf16": False}, False), ({"amx_bf16": True}, True)])
def test_tiles_are_what_torch_says(known: dict[str, bool], tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "features", lambda: known)
    assert processor.multiplies_tiles() == tiles
