"""What the benchmarks compute is right: their arithmetic, their scores, and that the textbook loop is our algorithm."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench import data, features, processes, quality, report, scores, step, textbook
from bench.__main__ import main
from bench.features import feature_map
from bench.flops import forward_flops, is_piecewise_linear, iteration_flops
from bench.funnels import Funnels
from bench.sheets import cut
from bench.sides import Spread, in_turns, ratios
from bench.textbook import PictureDataset
from toolbox import blobs
from wgan import options
from wgan.config import DataConfig
from wgan.data import open_data
from wgan.data.samples import Pictures

BATCH = 2
CONV, TRANSPOSED, LINEAR = 2 * 9 * 3 * 5 * 8 * 8 * BATCH, 2 * 16 * 4 * 3 * 4 * 4 * BATCH, 2 * 5 * 64 * BATCH
LIFT = 2 * 7 * 64 * BATCH


def networks() -> tuple[nn.Module, nn.Module]:
    generator = nn.Sequential(nn.Linear(7, 64), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 3, 4, 2, 1))
    critic = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(320, 1))
    return generator, critic


def test_forward_flops_are_two_for_each_weight_and_place() -> None:
    generator, critic = networks()
    z = torch.randn(BATCH, 7)
    assert forward_flops(generator, z) == (LIFT + TRANSPOSED, LIFT)
    assert forward_flops(critic, generator(z)) == (CONV + LINEAR, CONV)


@pytest.mark.parametrize(("normed", "penalty"), [(False, 4), (True, 6)])
def test_an_iteration_needs_what_the_formula_says(normed: bool, penalty: int) -> None:
    generator, critic = networks()
    if normed:
        critic = nn.Sequential(critic[0], nn.InstanceNorm2d(5), *critic[1:])  # type: ignore[index]
    assert is_piecewise_linear(critic) != normed
    g, c = LIFT + TRANSPOSED, CONV + LINEAR
    expected = 5 * (g + 2 * c + 4 * c - 2 * CONV + penalty * c) + 3 * g - LIFT + 2 * c
    assert iteration_flops(generator, critic, torch.randn(BATCH, 7), 5) == expected


SLIM = {"generator_width": 4, "critic_width": 4, "critic_norm": "instance"}


@pytest.mark.parametrize("changes", [{}, SLIM])
def test_the_textbook_loop_is_our_algorithm(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    name = "dcgan" if changes else "mlp"
    about, given, shape = step.WORKLOADS[name]
    monkeypatch.setitem(step.WORKLOADS, name, step.Workload(about, {**given, **changes}, shape))
    apart = step.agreement(step.prepare(name, "fp32"), steps=10 if changes else 3)
    assert max(apart.values()) < 1e-8


@pytest.mark.parametrize(("dim", "centres"), [(2, 4), (16, 64), (64, 4)])
def test_the_pairs_of_the_w1_benchmark_have_the_critic_that_proves_their_distance(dim: int, centres: int) -> None:
    """A function of slope 1 that falls along each way by its whole length: no plan is cheaper, no critic better."""
    pair, draw = Funnels(dim, centres), torch.Generator().manual_seed(0)
    x = pair.p(4096, draw).double()
    y = pair.moved(x)

    def critic(points: torch.Tensor) -> torch.Tensor:
        return (torch.cdist(points, pair.centres) + pair.offsets).min(1).values

    ways = (x - y).norm(dim=1)
    torch.testing.assert_close(critic(x) - critic(y), ways, rtol=1e-6, atol=1e-6)
    assert pair.truth(draw, 2**16) == pytest.approx(float(ways.mean()), rel=0.03)


def test_the_comparison_finds_another_weight_of_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textbook, "WEIGHT", 10 * (1 + 1e-6))
    apart = step.agreement(step.prepare("mlp", "fp32"), steps=3)
    assert apart["losses"] > 1e-7 and apart["weights"] > 1e-8


def test_both_sides_read_the_same_pictures() -> None:
    for channels in (1, 3):
        images = blobs(8, channels=channels)
        theirs = torch.stack([PictureDataset(images)[i] for i in range(8)])
        torch.testing.assert_close(theirs, Pictures(images).batch(torch.arange(8)))


def test_the_frechet_distance_of_gaussians() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200_000, 2)), rng.normal(size=(200_000, 2)) * [2, 1] + [3, 0]
    assert scores.frechet(x, x) == pytest.approx(0, abs=1e-6)
    assert scores.frechet(x, y) == pytest.approx(3**2 + (2 - 1) ** 2, rel=0.01)


def test_precision_and_recall_of_what_is_known() -> None:
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    assert scores.precision_recall(x, x) == (1, 1)
    assert scores.precision_recall(x, x + 100) == (0, 0)
    one_mode = np.concatenate([x, x + 100])
    precision, recall = scores.precision_recall(one_mode, x)
    assert (precision, recall) == (1, 0.5)


def test_a_ball_reaches_to_the_third_neighbour() -> None:
    line = torch.arange(5.0).view(5, 1).double()  # the ends' third neighbours are at 3, the others' at 2, 2, 2
    points = torch.tensor([[-3.0], [-3.01], [2.5], [7.01]]).double()
    assert scores.share_inside(points, line) == 0.5


def test_the_time_to_reach_a_score_is_linear_in_its_logarithm() -> None:
    rows = [{"seconds": 10.0, "distance": 100.0}, {"seconds": 20.0, "distance": 1.0}]
    assert quality.time_to_reach(rows, 10) == pytest.approx(15)
    assert quality.time_to_reach(rows, 200) == 10
    assert quality.time_to_reach(rows, 0.5) is None


def test_a_textbook_that_was_better_before_its_end_is_told() -> None:
    def rows(*scores: float) -> list[dict[str, float]]:
        return [{"seconds": 10.0 * k, "distance": score} for k, score in enumerate(scores, 1)]

    assert quality._better_before({"ours": {"rows": rows(9, 5)}, "textbook": {"rows": rows(8, 7)}}) == []
    (told,) = quality._better_before({"ours": {"rows": rows(9, 5)}, "textbook": {"rows": rows(4, 7)}})
    assert "was 4.000, after 10 s; ours never was as good" in told
    (told,) = quality._better_before({"ours": {"rows": rows(4, 3)}, "textbook": {"rows": rows(4, 7)}})
    assert "ours was as good after 10.0 s" in told


def test_sides_take_turns() -> None:
    order: list[str] = []
    sides = [lambda s=s: order.append(s) or float(len(order)) for s in "ab"]  # type: ignore[func-returns-value, misc]
    a, b = in_turns(sides, 3)
    assert "".join(order) == "ababab"
    assert ratios(b, a) == Spread(4 / 3, 6 / 5, 2)


def test_quality_follows_both_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    images, labels = blobs(300), np.arange(300) % 2
    np.savez(tmp_path / "blobs.npz", images=images, labels=labels)
    monkeypatch.setattr(quality, "feature_map", lambda opened: feature_map(opened, epochs=1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    quality.add_flags(parser)
    given = ["--data", str(tmp_path / "blobs.npz"), "--seeds", "3", "--minutes", "0.01", "--ours-minutes", "0.01"]
    given += ["--samples", "40", "--marks", "0.1", "--set", "critic_width=4", "generator_width=4"]
    found = quality.run(parser.parse_args(given))
    assert found["section"] == "quality-blobs" and found["options"]["critic_width"] == 4
    (seed,) = found["seeds"]
    for side in ("ours", "textbook"):
        assert seed[side]["rows"][-1]["seconds"] >= 0.6
        assert all(np.isfinite(row["distance"]) for row in seed[side]["rows"])
    assert "| 3 " in quality.tables(found)
    cached = list(Path(os.environ["WGAN_CACHE"]).glob("bench/*.safetensors"))
    again = feature_map(open_data(tmp_path / "blobs.npz", DataConfig()), epochs=1)
    assert len(cached) == 1 and again(images).shape == (300, 128)


def test_a_classifier_that_was_half_written_is_trained_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    np.savez(tmp_path / "blobs.npz", images=blobs(40), labels=np.arange(40) % 2)
    opened = open_data(tmp_path / "blobs.npz", DataConfig())

    def killed(weights: dict[str, torch.Tensor], path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as once, pytest.raises(KeyboardInterrupt):
        once.setattr(features, "save_file", killed)
        feature_map(opened, epochs=1)
    assert feature_map(opened, epochs=1)(blobs(3)).shape == (3, 128)


def test_the_pictures_that_data_writes_are_read_again(tmp_path: Path) -> None:
    flags = argparse.Namespace(rounds=2, seconds=0.01)
    found = data.reading(data.write(tmp_path / "x", 70, (8, 8, 3), "jpg"), flags)
    assert found["shape"] == [3, 8, 8] and found["files"] == 70 and min(found["images_per_second"]) > 0


def test_sheets_are_cut_row_by_row(tmp_path: Path) -> None:
    import zipfile

    from PIL import Image

    cells = np.arange(100, dtype=np.uint8).reshape(10, 1, 10, 1, 1) * np.ones((1, 4, 1, 4, 3), np.uint8)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, archive.open("tile_000.png", "w") as file:
        Image.fromarray(cells.reshape(40, 40, 3)).save(file, "png")
    assert cut(tmp_path / "x.zip")[:, 0, 0, 0].tolist() == list(range(100))


def test_a_section_of_the_page_is_replaced_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")

    def result(name: str) -> dict[str, Any]:
        return report.measured(name, [], 1, lambda: {})

    for name, text in [("step", "one"), ("data", "two"), ("step", "three")]:
        report.write_section(result(name), text)
    page = (tmp_path / "page.md").read_text()
    assert "one" not in page and page.count("<!-- bench: step -->") == 1
    assert page.index("three") < page.index("two")


def test_another_machine_s_section_stands_beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    measured = next(result for result in report.stored() if result["name"] == "step")["measured"]
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(step, "run", lambda flags: measured)
    main(["step", "--threads", "1"])
    main(["step", "--threads", "1", "--section", "step-there"])
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["step-there.json", "step.json"]
    page = (tmp_path / "page.md").read_text()
    assert page.count("<!-- bench: step -->") == page.count("<!-- bench: step-there -->") == 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError])
def test_a_process_that_is_no_longer_watched_has_ended(
    fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def stopped(pid: int) -> int:
        seen.append(pid)
        raise fault

    monkeypatch.setattr(processes, "WGAN", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(processes, "rss_anon", stopped)
    began = time.monotonic()
    with pytest.raises(fault):
        processes.watch([])
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_a_process_is_watched_to_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = "import sys, time; x = b'x' * 10**8; open(sys.argv[1], 'w'); time.sleep(0.5); sys.exit(*sys.argv[2:])"
    monkeypatch.setattr(processes, "WGAN", (sys.executable, "-c", program))
    found = processes.watch([str(tmp_path / "here")], awaited=(tmp_path / "here").exists)
    assert found.first is not None and found.first + 0.3 < found.seconds and 10**8 < found.peak < 2 * 10**8
    with pytest.raises(RuntimeError, match=r"^wgan .*there no room: no room$"):
        processes.watch([str(tmp_path / "there"), "no room"], awaited=lambda: False)


def test_every_workload_is_that_of_a_preset_or_of_the_scripts() -> None:
    assert step.WORKLOADS["dcgan"].options == options.preset("wgan-gp")
    setting = step.prepare("mlp", "fp32")
    sizes = [tuple(w.shape) for w in (*setting.generator.parameters(), *setting.critic.parameters()) if w.dim() == 2]
    assert sizes == [(128, 100), (256, 128), (512, 256), (1024, 512), (784, 1024), (512, 784), (256, 512), (1, 256)]
