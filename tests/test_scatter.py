"""Pictures of points: what is chosen exactly, and the figures through matplotlib's own objects."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from toolbox import normal
from wgan.curves import count_outside, limits, principal_axes, scatter
from wgan.errors import UsageError


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 100])
def test_points_of_any_dimension_make_one_picture(tmp_path: Path, dimensions: int) -> None:
    real, fake = normal(300, dimensions), normal(200, dimensions, 1)
    scatter(tmp_path / "s.png", real, fake, modes=real[:3], score=lambda p: p.sum(axis=1), title="points")
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (800, 800)
    assert [p.name for p in tmp_path.iterdir()] == ["s.png"]


@pytest.mark.parametrize("constant", [0.0, 3.0, np.nan])
def test_a_critic_that_says_the_same_everywhere_is_drawn(tmp_path: Path, constant: float) -> None:
    scatter(tmp_path / "s.png", normal(9, 2), normal(9, 2), score=lambda p: np.full(len(p), constant))
    assert (tmp_path / "s.png").exists()


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_single_point_and_no_generated_ones_are_drawn(tmp_path: Path, dimensions: int) -> None:
    scatter(tmp_path / "s.png", normal(1, dimensions), np.zeros((0, dimensions)))
    assert (tmp_path / "s.png").exists()


def test_contours_have_a_labelled_bar_and_cover_the_axes(tmp_path: Path, drawn: list[Figure]) -> None:
    asked: list[np.ndarray] = []
    real = normal(100, 2)
    scatter(tmp_path / "s.png", real, real, score=lambda p: (asked.append(p), p[:, 0])[1])
    axes = drawn[0].axes[0]
    low, high = limits(real)
    np.testing.assert_allclose(asked[0].min(axis=0), low)
    np.testing.assert_allclose(asked[0].max(axis=0), high)
    assert axes.child_axes[0].get_ylabel() == "critic score"
    assert axes.get_aspect() == 1


def test_limits_depend_on_the_real_points_alone_and_outsiders_are_counted(tmp_path: Path, drawn: list[Figure]) -> None:
    real, far = normal(100, 2), np.full((1200, 2), 99.0)
    scatter(tmp_path / "s.png", real, real)
    scatter(tmp_path / "s.png", real, np.concatenate([real, far]))
    near, beyond = (figure.axes[0] for figure in drawn)
    assert near.get_xlim() == beyond.get_xlim() and near.get_ylim() == beyond.get_ylim()
    assert near.get_position().bounds == beyond.get_position().bounds
    assert (near.get_title(loc="right"), beyond.get_title(loc="right")) == ("", "1,200 outside")


def test_count_outside() -> None:
    points = np.array([[0, 0], [1, 1], [2, 0], [0, -3], [np.nan, 0], [np.inf, 0]], dtype=np.float64)
    assert count_outside(points, np.zeros(2), np.ones(2)) == 4
    assert count_outside(points[:0], np.zeros(2), np.ones(2)) == 0


def test_limits_are_a_square_with_a_margin() -> None:
    low, high = limits(np.array([[0.0, 10.0], [8.0, 12.0]]))
    np.testing.assert_allclose([low, high], [[-1, 6], [9, 16]])


def test_principal_axes_and_shares_of_a_known_ellipsoid(tmp_path: Path, drawn: list[Figure]) -> None:
    rotation = np.linalg.qr(normal(4, 4))[0]
    corners = np.concatenate([np.diag([6.0, 3, 2, 1]), -np.diag([6.0, 3, 2, 1])])
    axes, shares = principal_axes(7 + corners @ rotation)
    np.testing.assert_allclose(np.abs(rotation[:2] @ axes), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(shares, [36 / 50, 9 / 50])
    scatter(tmp_path / "s.png", corners, corners)
    assert drawn[0].axes[0].get_xlabel() == "principal axis 1 (72 %)"
    assert drawn[0].axes[0].get_ylabel() == "principal axis 2 (18 %)"


@pytest.mark.parametrize(("real", "fake"), [((5, 2), (5, 3)), ((5,), (5,)), ((0, 2), (0, 2))])
def test_other_shapes_are_refused(tmp_path: Path, real: tuple[int, ...], fake: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"give \(N, D\) and \(M, D\)"):
        scatter(tmp_path / "s.png", np.zeros(real), np.zeros(fake))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_side_without_points_is_left_out(tmp_path: Path, drawn: list[Figure], d: int) -> None:
    points, none = normal(50, d), np.zeros((0, d))
    scatter(tmp_path / "real.png", points, none)
    scatter(tmp_path / "fake.png", none, points)
    legends = [[text.get_text() for text in figure.axes[0].get_legend().get_texts()] for figure in drawn]
    assert legends == [["real"], ["generated"]]
