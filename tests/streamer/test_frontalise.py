"""Turning faces upright and to the front."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer import crops, frontalise
from streamer.errors import ModelError

TEMPLATE = crops.template("arcface-112").array.astype(np.float64)


def gradient(height: int = 160, width: int = 160) -> np.ndarray:
    """A picture whose colour tells where a pixel is: blue across, green down."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.zeros_like(rows)], -1).astype(np.uint8)


def head(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """(68, 2): a symmetric face of 68 points in space, turned (degrees) and seen from afar."""
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-40, 40, 68), rng.uniform(-50, 50, 68)
    z = 25 - (x**2 + y**2) / 80
    for i, j in enumerate(frontalise.MIRROR):
        if j >= i:
            x[j], y[j], z[j] = (0.0 if i == j else -x[i]), y[i], z[i]
    x[36:42], x[42:48] = -18, 18
    y[36:48], y[48], y[54], x[48], x[54], y[30], z[36:48] = -20, 20, 20, -14, 14, 2, 20
    z[[48, 54]] = 20
    a, b, c = np.radians([yaw, pitch, roll])
    turn_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (np.stack([x, y, z], 1) @ (turn_z @ turn_x @ turn_y).T)[:, :2] + 80


def test_mirroring_twice_is_nothing() -> None:
    np.testing.assert_array_equal(frontalise.MIRROR[frontalise.MIRROR], np.arange(68))


def test_a_piecewise_affine_warp_carries_every_point_onto_its_target() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.uniform(10, 150, (2, 12, 2))
    target = np.rint(target)
    out = frontalise.piecewise_affine(gradient(), source, target, (160, 160))
    for (x, y), (u, v) in zip(target.astype(int), source):
        np.testing.assert_allclose(out[y, x, :2], [u, v], atol=1.5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_warp_by_one_affine_map_is_that_map(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.concatenate([rng.uniform(0, 79, (5, 2)), [[0, 0], [79, 0], [0, 79], [79, 79]]])
    matrix, shift = np.eye(2) + rng.uniform(-0.2, 0.2, (2, 2)), rng.uniform(30, 45, 2)
    out = frontalise.piecewise_affine(gradient(), target @ matrix.T + shift, target, (80, 80))
    rows, columns = np.mgrid[1:79, 1:79]
    wanted = np.stack([columns, rows], -1) @ matrix.T + shift
    np.testing.assert_allclose(out[1:79, 1:79, :2], wanted, atol=1.5)


def test_outside_the_mesh_is_black() -> None:
    triangle = np.array([[20.0, 20], [60, 20], [20, 60]])
    out = frontalise.piecewise_affine(gradient() + 1, triangle, triangle, (80, 80))
    assert out[25, 25].any()
    assert not out[70, 70].any()


def test_points_on_a_line_are_told() -> None:
    line = np.stack([np.arange(5.0), np.arange(5.0)], 1)
    with pytest.raises(ModelError, match="one line"):
        frontalise.piecewise_affine(gradient(), line, line, (10, 10))
    with pytest.raises(ModelError, match="one line"):
        frontalise.mesh(line)
    with pytest.raises(ModelError, match="5 or 68"):
        frontalise.frontal(gradient(), line[:4], "arcface-112")


def test_levelled_eyes_lie_where_the_template_has_them() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    five = np.array([[60, 60], [100, 90], [70, 90], [50, 110], [80, 130]], np.float32)
    for x, y in five[:2]:
        image[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = 255
    crop = frontalise.levelled(image, five, "arcface-112")[0]
    for x, y in TEMPLATE[:2]:
        assert crop[round(y), round(x)].min() > 200
    assert frontalise.levelled(image, np.zeros((0, 5, 2)), "arcface-112").shape == (0, 112, 112, 3)


def test_boxed_faces_are_moved_and_scaled_but_not_turned() -> None:
    crop = frontalise.boxed(gradient(), [[30, 20, 110, 120]], "arcface-112")[0].astype(float)
    inside = crop[20:90, 20:90]
    np.testing.assert_allclose(np.diff(inside[..., 0], axis=0).mean(), 0, atol=0.05)  # blue does not change downwards
    assert np.diff(inside[..., 0], axis=1).mean() > 0.3


def test_five_points_end_on_the_template() -> None:
    five = np.array([[55, 60], [95, 66], [90, 85], [60, 105], [88, 108]], np.float32)  # a nose to the right: turned
    crop = frontalise.frontal(gradient(), five, "arcface-112")
    for (x, y), point in zip(TEMPLATE, five):
        np.testing.assert_allclose(crop[round(y), round(x), :2], point, atol=2.5)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (30, 0, 0), (-40, 10, 0), (20, -15, 25)])
def test_a_turned_head_becomes_symmetric_and_as_high_as_the_template(yaw: float, pitch: float, roll: float) -> None:
    points = head(yaw, pitch, roll)
    matrix = crops.similarity(frontalise.five_of(points), "arcface-112")[0]
    front = frontalise.front_shape(points @ matrix[:, :2].T + matrix[:, 2], "arcface-112")
    middle = TEMPLATE[[0, 1, 3, 4], 0].mean()
    np.testing.assert_allclose(front[:, 0] + front[frontalise.MIRROR, 0], 2 * middle, atol=1e-3)
    np.testing.assert_allclose(front[:, 1], front[frontalise.MIRROR, 1], atol=1e-3)
    five = frontalise.five_of(front)
    np.testing.assert_allclose(
        five[[0, 1]], [[five[0, 0], TEMPLATE[0:2, 1].mean()], [five[1, 0], TEMPLATE[0:2, 1].mean()]], atol=0.01
    )
    np.testing.assert_allclose(five[1, 0] - five[0, 0], TEMPLATE[1, 0] - TEMPLATE[0, 0], atol=0.01)
    np.testing.assert_allclose(five[3:, 1].mean(), TEMPLATE[3:, 1].mean(), atol=0.01)
