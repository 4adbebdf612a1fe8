"""data.draw_lines: pictures of one stroke from the centre towards the border."""

import numpy as np
import pytest
from seeding import rng

from vae_keras import data


def places(side):
    """The x and y of the pixels' centres, from the centre of the picture, y upwards."""
    place = np.arange(side) + 0.5 - side / 2
    return np.meshgrid(place, -place)


def test_lines_are_images():
    lines = data.draw_lines(np.linspace(-7, 7, 5))
    assert (lines.shape, lines.dtype) == ((5, 32, 32, 1), np.float32)
    data.check_images(lines)
    assert data.draw_lines([0.3], side=9).shape == (1, 9, 9, 1)


def test_a_line_to_the_right_covers_two_rows_up_to_a_pixel_before_the_border():
    expected = np.zeros((8, 8))
    expected[3:5, 4:7] = 1
    np.testing.assert_allclose(data.draw_lines([0], side=8)[0, ..., 0], expected, atol=1e-6)
    # From the centre of the middle pixel of nine, a row of full pixels and two halves; 3.5 pixels long.
    expected = np.zeros((9, 9))
    expected[4, 4:] = [0.5, 1, 1, 1, 0]
    expected[[3, 5], 4:] = [0.25, 0.5, 0.5, 0.5, 0]
    np.testing.assert_allclose(data.draw_lines([0], side=9)[0, ..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("side", [32, 28, 17])
def test_a_line_points_where_its_angle_says(side):
    angles = rng(1).uniform(-10, 10, 50)
    lines = data.draw_lines(angles, side)[..., 0]
    x, y = places(side)
    length, ink = side / 2 - 1, lines.sum(axis=(1, 2))
    # Its ink is that of a stroke two pixels wide, and its middle lies half its length from the centre.
    np.testing.assert_allclose(ink, 2 * length, rtol=0.05)
    middle_x, middle_y = (lines * x).sum(axis=(1, 2)) / ink, (lines * y).sum(axis=(1, 2)) / ink
    np.testing.assert_allclose(middle_x, length / 2 * np.cos(angles), atol=0.15)
    np.testing.assert_allclose(middle_y, length / 2 * np.sin(angles), atol=0.15)
    # It is straight: across its axis the ink has the variance of two pixels, and that of the one that cuts it up. Along
    # the pixels it is 1/4 for two full rows, and 1/2 for a full one between two halves.
    across = np.sin(angles)[:, None, None] * x - np.cos(angles)[:, None, None] * y
    variance = (lines * across**2).sum(axis=(1, 2)) / ink
    assert np.median(variance) == pytest.approx((2**2 + 1) / 12, rel=0.05)
    assert (variance > 0.24).all() and (variance < 0.51).all()


def test_a_quarter_turn_of_the_angle_is_one_of_the_picture():
    angles = rng(2).uniform(0, 2 * np.pi, 20)
    turned = np.rot90(data.draw_lines(angles), axes=(1, 2))
    np.testing.assert_allclose(data.draw_lines(angles + np.pi / 2), turned, atol=1e-5)
    np.testing.assert_allclose(data.draw_lines(-angles), data.draw_lines(angles)[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(data.draw_lines(angles + 2 * np.pi), data.draw_lines(angles), atol=1e-5)


def test_lines_are_as_a_finely_cut_stroke_shows():
    angles, cut = rng(3).uniform(0, 2 * np.pi, 20), 8
    x, y = (place / cut for place in places(32 * cut))
    cosine, sine = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    along, across = cosine * x + sine * y, sine * x - cosine * y
    inside = (along >= 0) & (along <= 15) & (np.abs(across) <= 1)
    cut_lines = inside.reshape(20, 32, cut, 32, cut).mean(axis=(2, 4))
    differences = np.abs(data.draw_lines(angles)[..., 0] - cut_lines)
    assert differences.max() < 0.3
    assert differences.sum(axis=(1, 2)).max() < 0.1 * 30


@pytest.mark.parametrize("side", [3, 0, -32, 32.0, "32", None])
def test_a_side_that_is_none_is_refused(side):
    with pytest.raises(ValueError, match=f"side is {side!r}"):
        data.draw_lines([0], side)


@pytest.mark.parametrize(
    ("angles", "message"),
    [
        (0.5, r"angles have shape \(\)"),
        ([], r"angles have shape \(0,\)"),
        ([[0, 1]], r"angles have shape \(1, 2\)"),
        ([0, np.nan], "finite"),
        ([np.inf], "finite"),
        (["up"], "angles hold no numbers"),
        (None, "angles have shape|angles hold no numbers"),
    ],
)
def test_angles_that_are_none_are_refused(angles, message):
    with pytest.raises(ValueError, match=message):
        data.draw_lines(angles)
