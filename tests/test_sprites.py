"""data.draw_sprites: coloured shapes on black."""

import numpy as np
import pandas as pd
import pytest
from seeding import SEED, rng

from vae_keras import data

SQUARE, ELLIPSE, HEART = range(3)


def drawn(count, seed=0, **changed):
    return data.draw_factors(data.SPRITE_FACTORS, count, seed=SEED + seed).assign(**changed)


def covered(factors, side=32):
    """How much of each pixel is covered, (n, side, side): a red shape has the full red of its hue there."""
    return data.draw_sprites(factors.assign(hue=0.0), side)[..., 0].astype("float64")


def moments(ink):
    """Area, centre (x to the right, y up) and central second moments of each picture, in pixels."""
    place = np.arange(ink.shape[1]) + 0.5
    area = ink.sum(axis=(1, 2))
    columns, rows = ink.sum(axis=1), ink.sum(axis=2)[:, ::-1]
    x, y = columns @ place / area, rows @ place / area
    wide = (columns * (place - x[:, None]) ** 2).sum(axis=1) / area
    high = (rows * (place - y[:, None]) ** 2).sum(axis=1) / area
    return area, x, y, wide, high


def test_sprites_are_images():
    images = data.draw_sprites(drawn(300))
    assert (images.shape, images.dtype) == ((300, 32, 32, 3), np.float32)
    data.check_images(images)
    assert data.draw_sprites(drawn(2), side=17).shape == (2, 17, 17, 3)


@pytest.mark.parametrize("side", [32, 45])
def test_shapes_of_one_scale_have_one_area_and_stand_where_x_and_y_say(side):
    factors = drawn(300, 1)
    area, x, y, _, _ = moments(covered(factors, side))
    np.testing.assert_allclose(area, (0.35 * side * factors["scale"]) ** 2, rtol=0.03)
    np.testing.assert_allclose(x, side * (0.28 + 0.44 * factors["x"]), atol=0.1)
    np.testing.assert_allclose(y, side * (0.28 + 0.44 * factors["y"]), atol=0.1)


@pytest.mark.parametrize(
    ("shape", "wide", "high"),
    [(SQUARE, 1 / 12, 1 / 12), (ELLIPSE, 1.5 / (4 * np.pi), 1 / (4 * np.pi * 1.5))],
    ids=["square", "ellipse"],
)
def test_squares_and_ellipses_have_the_moments_of_their_kind(shape, wide, high):
    factors = drawn(50, 2, shape=shape)
    area, _, _, found_wide, found_high = moments(covered(factors, 128))
    np.testing.assert_allclose(found_wide / area, wide, rtol=0.01)
    np.testing.assert_allclose(found_high / area, high, rtol=0.01)


def test_the_middle_of_a_square_is_full_to_its_corners_and_that_of_an_ellipse_is_not():
    middle = {"scale": [1.0], "x": [0.5], "y": [0.5], "hue": [0.0]}
    square, ellipse = (covered(pd.DataFrame({"shape": [shape], **middle}), 120)[0] for shape in (SQUARE, ELLIPSE))
    # A side of 42 pixels: from 39 to 81.
    expected = np.zeros((120, 120))
    expected[39:81, 39:81] = 1
    np.testing.assert_allclose(square, expected, atol=1e-4)
    x, y = np.meshgrid(np.arange(120) - 59.5, np.arange(120) - 59.5)
    level = np.hypot(x / np.sqrt(1.5), y * np.sqrt(1.5)) * np.sqrt(np.pi) / 42
    assert (ellipse[level < 0.93] == 1).all() and (ellipse[level > 1.07] == 0).all()


def test_a_heart_has_a_tip_below_and_a_notch_above():
    heart = covered(drawn(1, 3, shape=HEART, scale=1.0, x=0.5, y=0.5), 128)[0] > 0.5
    np.testing.assert_array_equal(heart, heart[:, ::-1])
    rows = np.flatnonzero(heart.any(axis=1))
    parts = np.abs(np.diff(heart[rows].astype(int), axis=1, prepend=0, append=0)).sum(axis=1) / 2
    # Two bumps above, then one piece that grows narrower to the tip, whose sides fall by one pixel a pixel.
    assert parts[0] == 2 and parts[-1] == 1 and (np.diff(parts) <= 0).all()
    widths = heart[rows].sum(axis=1)
    assert widths[-1] <= 3 and (np.diff(widths[-20:]) == -2).mean() > 0.8
    assert widths.argmax() < len(rows) / 2
    # Of area 1, it is 2 (1/4 + sqrt(1/8)) and 3/4 + sqrt(1/8) over the root of the area of a half square and a disc.
    size = 0.35 * 128 / np.sqrt(1 / 2 + np.pi / 8)
    assert widths.max() == pytest.approx(size * (0.5 + 2 * np.sqrt(1 / 8)), abs=1.5)
    assert len(rows) == pytest.approx(size * (0.75 + np.sqrt(1 / 8)), abs=1.5)


def test_the_largest_shapes_stay_within_the_picture():
    corners = [(shape, x, y) for shape in range(3) for x in (0.0, 1.0) for y in (0.0, 1.0)]
    factors = pd.DataFrame(corners, columns=["shape", "x", "y"]).assign(scale=1.0)
    ink = covered(factors)
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert not ink[:, border].any()


def test_sprites_are_as_finely_cut_ones_show():
    factors = drawn(30, 4)
    fine = covered(factors, 256).reshape(30, 32, 8, 32, 8).mean(axis=(2, 4))
    differences = np.abs(covered(factors) - fine)
    assert differences.max() < 0.4
    assert (differences.sum(axis=(1, 2)) < 0.06 * fine.sum(axis=(1, 2))).all()
    # Edges are grey.
    assert ((fine > 0.05) & (fine < 0.95)).any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    ("hue", "colour"),
    [(0, (1, 0.2, 0.2)), (1 / 6, (1, 1, 0.2)), (1 / 3, (0.2, 1, 0.2)), (2 / 3, (0.2, 0.2, 1)), (0.75, (0.6, 0.2, 1))],
)
def test_a_hue_is_a_colour_that_comes_round(hue, colour):
    factors = drawn(3, 5, shape=[0, 1, 2], hue=hue)
    images = data.draw_sprites(factors)
    for image in images:
        np.testing.assert_allclose(image.max(axis=(0, 1)), colour, atol=1e-6)
        np.testing.assert_allclose(image, image.max(axis=2, keepdims=True) * np.array(colour), atol=1e-6)
    for turns in (-1, 1, 2):
        np.testing.assert_allclose(data.draw_sprites(factors.assign(hue=hue + turns)), images, atol=1e-5)


def test_each_row_gives_its_picture_whatever_the_others_are():
    factors = drawn(200, 6)
    images = data.draw_sprites(factors)
    order = rng(7).permutation(200)[:90]
    np.testing.assert_array_equal(data.draw_sprites(factors.iloc[order]), images[order])


def test_what_are_no_factors_and_no_side_is_refused():
    with pytest.raises(ValueError, match="factors lack hue"):
        data.draw_sprites(drawn(2).drop(columns="hue"))
    with pytest.raises(ValueError, match=r"The factor 'scale' runs from 0\.5 to 1\.2"):
        data.draw_sprites(drawn(2, scale=[0.5, 1.2]))
    for side in (7, 32.0, "32", None):
        with pytest.raises(ValueError, match=f"side is {side!r}. Expected a whole number, 8 or more"):
            data.draw_sprites(drawn(2), side)
