"""What is known of the processor, and what is made of it."""

import os
from pathlib import Path

import pytest
import torch

from wgan.data.files import MOST_WORKERS, Files
from wgan.machine import processor
from wgan.machine.devices import has_fast_bf16
from wgan.machine.processor import set_threads


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> int:
    """A machine with more cores than threads are of use for reading."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return 64


def test_training_takes_all_cores_and_reading_some(
    many_cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    assert processor.cores() == many_cores
    assert set_threads(None) == many_cores
    assert set_threads(None, processes=4) == many_cores // 4
    assert taken == [many_cores, many_cores // 4]
    assert Files(tmp_path, [], [], open).workers == MOST_WORKERS < many_cores


@pytest.mark.parametrize(("limit", "threads"), [("3", 3), ("100", 64), ("0", 64), ("four", 64), ("", 64)])
def test_a_lone_process_takes_no_more_threads_than_openmp_may(
    limit: str, threads: int, many_cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert set_threads(None) == threads and set_threads(5) == 5
    assert set_threads(None, processes=4) == many_cores // 4  # their launcher has set it, to 1


@pytest.mark.parametrize("supported", [False, True])
def test_what_older_torch_tells_of_the_processor_is_enough(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    processor.features.cache_clear()
    try:
        assert has_fast_bf16(torch.device("cpu")) == supported and not processor.multiplies_tiles()
    finally:
        processor.features.cache_clear()


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        (["200000 100000"], 2),
        (["150000 100000"], 2),
        (["10000 100000"], 1),
        (["max 100000"], 64),
        (["9900000 100000"], 64),
        (["400000", "100000"], 4),
        (["-1", "100000"], 64),
    ],
)
def test_a_container_s_share_of_the_cores_counts(
    said: list[str], cores: int, many_cores: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = tuple(tmp_path / str(number) for number in range(len(said)))
    for file, text in zip(files, said, strict=True):
        file.write_text(text + "\n")
    monkeypatch.setattr(processor, "_QUOTAS", ((tmp_path / "missing",), files))
    assert processor.cores() == cores


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert processor.cores() == 6


@pytest.mark.parametrize(("known", "tiles"), [({}, False), ({"amx_bf16": False}, False), ({"amx_bf16": True}, True)])
def test_tiles_are_what_torch_says(known: dict[str, bool], tiles: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "features", lambda: known)
    assert processor.multiplies_tiles() == tiles


@pytest.mark.parametrize(("capability", "short"), [("AVX2", True), ("AVX512", False), ("DEFAULT", False)])
def test_short_vectors_are_those_of_avx2(capability: str, short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert processor.has_short_vectors() == short
