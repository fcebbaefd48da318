"""Drawings: the pure choices behind them exactly, and the figures through matplotlib's own objects."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from wgan import curves as module
from wgan.curves import choose_scale, curves, scatter, table

Records = list[dict[str, Any]]


def training(count: int) -> Records:
    rng = np.random.default_rng(0)
    keys = ("wasserstein", "wasserstein_heldout", "critic_loss", "generator_loss", "gradient_norm", "penalty")
    extra = {
        "wasserstein_stderr": 0.1,
        "gradient_norm_fake": 0.9,
        "images_per_second": 5e3,
        "gap": 0.1,
        "gap_stderr": 0.04,
    }
    return [
        {"step": 100 * (i + 1), "images": 6400 * i, "seconds": float(i), **extra}
        | {key: 1 + rng.random() for key in keys}
        for i in range(count)
    ]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


@pytest.mark.parametrize("count", [0, 1, 2, 30, 101, 2000])
def test_any_number_of_records_makes_one_picture(tmp_path: Path, count: int) -> None:
    curves(tmp_path / "new" / "c.png", training(count), title="a run")
    with Image.open(tmp_path / "new" / "c.png") as picture:
        assert picture.size == (1200, 800)
        assert np.asarray(picture.convert("L")).std() > 1
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["c.png"]


def test_thousands_of_records_are_quick(tmp_path: Path) -> None:
    records = training(20_000)
    start = time.process_time()
    curves(tmp_path / "c.png", records)
    assert time.process_time() - start < 20  # no benchmark: it would see what grows with the square


def test_panels_and_their_labels(tmp_path: Path, drawn: list[Figure]) -> None:
    curves(tmp_path / "c.png", training(150), slope=2.0)
    wasserstein, gap, losses, penalty, norms = drawn[0].axes
    assert titles(drawn[0]) == ["Wasserstein estimate", "Overfitting", "Losses", "Penalty", "Gradient norm"]
    assert gap.get_legend_handles_labels()[1] == ["gap ± standard error"]
    assert gap.collections and any(set(line.get_ydata()) == {0.0} for line in gap.lines)
    assert wasserstein.get_ylabel() == "mean score of real\n\N{MINUS SIGN} mean score of generated"
    assert wasserstein.get_legend_handles_labels()[1] == ["training", "held out ± standard error"]
    assert losses.get_legend_handles_labels()[1] == ["critic", "generator"]
    assert any(line.get_linestyle() == ":" and set(line.get_ydata()) == {2.0} for line in norms.lines)
    assert penalty.get_xlabel() == "generator steps"
    assert penalty.xaxis.get_major_formatter()(12000) == "12,000"


def test_clipping_says_that_the_scale_is_arbitrary(tmp_path: Path, drawn: list[Figure]) -> None:
    records = [{**record, "penalty": None} for record in training(5)]
    curves(tmp_path / "c.png", records, arbitrary_under="weight clipping")
    assert titles(drawn[0]) == ["Wasserstein estimate", "Overfitting", "Losses", "Gradient norm"]
    assert not any(line.get_linestyle() == ":" for line in drawn[0].axes[3].lines)  # nothing is hoped for
    assert "arbitrary scale under weight clipping" in drawn[0].axes[0].get_ylabel()


def test_a_classic_gan_has_no_wasserstein_estimate(tmp_path: Path, drawn: list[Figure]) -> None:
    curves(tmp_path / "c.png", [{**r, "wasserstein": None} for r in training(5)], classic=True)
    assert titles(drawn[0])[0] == "Losses (classic GAN: no Wasserstein estimate)"
    assert len(drawn[0].axes) == 3


@pytest.mark.parametrize("key", ["critic_loss", "wasserstein_heldout"])
def test_one_key_alone_is_enough(tmp_path: Path, drawn: list[Figure], key: str) -> None:
    curves(tmp_path / "c.png", [{"step": 0, key: 2.0}])
    assert len(drawn[0].axes) == 1


def test_an_empty_run_says_so(tmp_path: Path, drawn: list[Figure]) -> None:
    curves(tmp_path / "c.png", [{"step": 1, "penalty": None}], title="$ not maths")
    assert [text.get_text() for text in drawn[0].texts] == ["$ not maths", "no records yet"]


def test_the_table_leaves_out_what_is_missing_or_not_finite() -> None:
    records: Records = [
        {"step": 1, "a": 2.0, "e": 0.5},
        {"step": 2, "a": None},
        {"step": 3},
        {"step": 4, "a": float("nan")},
        {"step": 5, "a": float("inf")},
        {"a": 1.0},
        {"step": 6, "a": np.float32(3), "e": float("nan")},
        {"step": 7, "a": "text"},
    ]
    np.testing.assert_array_equal(table(records, "a", "e"), [[1, 2, 0.5], [6, 3, 0]])
    assert table([], "a").shape == (0, 3)


def test_the_band_is_one_standard_error_wide(tmp_path: Path, drawn: list[Figure]) -> None:
    records = [{"step": i, "wasserstein_heldout": 5.0, "wasserstein_stderr": 0.5 if i else None} for i in range(9)]
    curves(tmp_path / "c.png", records)
    heights = drawn[0].axes[0].collections[-1].get_paths()[0].vertices[:, 1]
    assert heights.min() == 4.5 and heights.max() == 5.5


def test_the_gap_s_whole_band_is_seen(tmp_path: Path, drawn: list[Figure]) -> None:
    curves(tmp_path / "c.png", [{"step": i, "gap": 0.01 * i, "gap_stderr": 0.5} for i in range(9)])
    low, high = drawn[0].axes[0].get_ylim()
    assert low < -0.5 and high > 0.58


def test_titles_and_notes_have_room_beside_each_other(tmp_path: Path, drawn: list[Figure]) -> None:
    keys = ("wasserstein_heldout", "gap", "critic_loss", "penalty", "gradient_norm")
    curves(
        tmp_path / "c.png", [{"step": i, **dict.fromkeys(keys, 4000.0 if i == 1 else 1 + i / 500)} for i in range(500)]
    )
    for axes in drawn[0].axes:
        assert axes.get_title(loc="right") == "early outliers cut off"
        title, note = axes._left_title, axes._right_title  # type: ignore[attr-defined]  # it has no other names
        assert title.get_window_extent().x1 + 5 < note.get_window_extent().x0


RAMP = np.linspace(1, 2, 500)


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ([], "linear"),
        ([0.0, 0.0], "linear"),
        ([3.0], "linear"),
        (RAMP, "linear"),
        (-RAMP, "linear"),
        (np.sin(20 * RAMP), "linear"),
        (np.geomspace(1, 1e4, 200), "log"),
        (-np.geomspace(1, 1e4, 200), "symlog"),
        (np.geomspace(1, 1e4, 200) * np.resize([1, -1], 200), "symlog"),
        (np.r_[0.0, np.geomspace(1, 1e4, 200)], "symlog"),
        (np.r_[RAMP, 1e6], "log"),
    ],
)
def test_the_scale_follows_the_range(series: Any, name: str) -> None:
    assert choose_scale([np.array(series, dtype=np.float64)]).name == name


def test_a_short_training_is_not_flattened_by_its_first_steps() -> None:
    assert choose_scale([np.r_[50, 14, 6.8, 4.2, 2.5, 2.1, 1.9, 2, 1.9, 1.9, 1.8, 1.6, 1.8, 1.25]]).name == "log"


def test_symlog_is_linear_only_around_the_smallest_values() -> None:
    values = np.geomspace(1, 1e4, 200) * np.resize([1, -1], 200)
    assert choose_scale([values]).threshold == 1.0
    assert choose_scale([np.r_[values, np.full(200, 1e-9)]]).threshold == 1.0, "four decades, not thirteen"


def test_early_outliers_do_not_flatten_the_rest() -> None:
    scale = choose_scale([np.r_[1.5, 4000, -4000, RAMP], RAMP])
    assert scale.name == "linear"
    assert scale.low == pytest.approx(1 - 0.08, abs=0.01), "the ordinary start of the ramp stays"
    assert scale.high == pytest.approx(2 + 0.08, abs=0.01)


def test_few_records_are_early_by_their_steps(tmp_path: Path, drawn: list[Figure]) -> None:
    steps = [1, 4, 16, *range(250, 3001, 250)]
    values = [50.0 if n < 4 else -0.2 if n < 250 else 2 + 500 / n for n in steps]
    records = [{"step": n, "wasserstein": w, "noise_floor": 0.1} for n, w in zip(steps, values, strict=True)]
    curves(tmp_path / "c.png", records)
    low, high = drawn[0].axes[0].get_ylim()
    assert -0.5 < low < -0.2 and 4 < high < 6
    assert choose_scale([np.array([50.0, -0.2, 4.0, 2.0])], [1]).high == pytest.approx(4 + 0.08 * 4.2)


@pytest.mark.parametrize("tau", [30, 60, 100])
def test_a_smooth_beginning_is_not_cut(tau: float) -> None:
    t = np.arange(1000)
    curve = 10 * (1 - np.exp(-t / tau)) + 0.5
    assert choose_scale([curve], [20]).low is None or choose_scale([curve], [20]).low <= curve[20]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_noise_is_in_sight_if_there_is_any(tmp_path: Path, drawn: list[Figure], sign: int) -> None:
    def limits_with(**more: float) -> tuple[float, float]:
        values = [500.0, 250.0, *np.linspace(100, 101, 200)]
        curves(tmp_path / "c.png", [{"step": n, "wasserstein": sign * v, **more} for n, v in enumerate(values)])
        return drawn[-1].axes[0].get_ylim()

    without, within = limits_with(), limits_with(noise_floor=0.5)
    assert without[0] * without[1] > 0 and within[0] < 0 < within[1]


def test_means_over_a_few_last_steps_are_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    records = [{"step": n, "critic_loss": n / 100, "gradient_norm": n / 100} for n in (100, 200, 300, 301)]
    curves(tmp_path / "c.png", records)
    assert [len(axes.lines[0].get_xdata()) for axes in drawn[0].axes] == [3, 4]
    curves(tmp_path / "c.png", [*records, {"step": 400, "critic_loss": 4.0}, {"step": 500, "critic_loss": 5.0}])
    assert drawn[1].axes[0].lines[0].get_xdata().tolist() == [100, 200, 300, 400, 500], "nor before a new start"
    curves(tmp_path / "c.png", [*records[:3], {"step": 360, "critic_loss": 1.0}])
    assert len(drawn[2].axes[0].lines[0].get_xdata()) == 4


def test_late_outliers_are_never_cut() -> None:
    scale = choose_scale([np.r_[RAMP, 50.0]])
    assert (scale.low, scale.high) == (None, None)


def test_late_small_values_stay_on_a_log_axis_and_early_ones_are_mentioned(tmp_path: Path, drawn: list[Figure]) -> None:
    falling = np.geomspace(100, 0.1, 100)
    for values, lowest, note in (
        (np.r_[falling, 1e-4], 1e-4, ""),
        (np.r_[1e-4, falling], 0.02, "early outliers cut off"),
    ):
        curves(tmp_path / "c.png", [{"step": i, "penalty": v} for i, v in enumerate(values)])
        axes = drawn[-1].axes[0]
        assert axes.get_yscale() == "log" and lowest / 5 < axes.get_ylim()[0] <= lowest
        assert axes.get_title(loc="right") == note


@pytest.mark.parametrize(("high", "labels"), [(5.0, ["0.2", "0.5", "1", "2", "5"]), (100.0, ["0.1", "1", "10", "100"])])
def test_a_log_axis_has_numbers_and_no_powers(
    high: float, labels: list[str], tmp_path: Path, drawn: list[Figure]
) -> None:
    values = np.geomspace(0.1, high, 50)
    curves(tmp_path / "c.png", [{"step": i, "penalty": v} for i, v in enumerate(values)])
    axis = drawn[-1].axes[0].yaxis
    texts = [label.get_text() for label in (*axis.get_majorticklabels(), *axis.get_minorticklabels())]
    assert set(labels) <= set(texts)
    assert all(float(text) > 0 for text in texts if text)


def test_cut_outliers_are_mentioned(tmp_path: Path, drawn: list[Figure]) -> None:
    records = [{"step": i, "wasserstein": 4000.0 if i == 1 else 1 + i / 500} for i in range(500)]
    curves(tmp_path / "c.png", records)
    axes = drawn[0].axes[0]
    assert axes.get_title(loc="right") == "early outliers cut off"
    assert axes.get_ylim()[1] < 3


def test_the_smooth_line_ignores_an_outlier_and_follows_a_line() -> None:
    values = np.arange(600.0)
    values[300] = 1e9
    np.testing.assert_allclose(module._smooth(values)[20:-20], np.arange(600.0)[20:-20], atol=2)
    values = np.arange(105.0)
    values[50] = 1e9
    np.testing.assert_allclose(module._smooth(values), np.arange(105.0), atol=1)


def test_nothing_global_is_changed(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    curves(tmp_path / "c.png", training(3))
    scatter(tmp_path / "s.png", np.eye(2), np.eye(2))
    assert dict(mpl.rcParams) == before


def test_the_bound_is_dashed_and_noise_is_a_band_around_zero(tmp_path: Path, drawn: list[Figure]) -> None:
    curves(tmp_path / "c.png", [{**r, "wasserstein_bound": 0.5, "noise_floor": 0.2} for r in training(30)])
    axes = drawn[0].axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["training", "held out ± standard error", "certified lower bound (99.9 %)", "noise"]
    assert [set(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "--"] == [{0.5}]
    heights = axes.collections[-1].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (-0.2, 0.2)
