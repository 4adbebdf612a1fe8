"""data.draw_scenes and data.scene_masks: an object in a room."""

import colorsys

import numpy as np
import pytest
from seeding import SEED, rng

from vae_keras import data
from vae_keras.data import scenes

CUBE, CYLINDER, BALL, CAPSULE = range(4)
FLOOR, WALL, OBJECT = range(3)


def drawn(count, seed=0, **changed):
    return data.draw_factors(data.SCENE_FACTORS, count, seed=SEED + seed).assign(**changed)


def projected(points, side):
    """Where points, (n, 3), appear: columns and rows of the picture in pixels."""
    x, y, z = (points - scenes.CAMERA).T
    _, up, forward = scenes.LOOKS_AT - scenes.CAMERA
    length = np.hypot(up, forward)
    depth = (up * y + forward * z) / length
    height = (forward * y - up * z) / length
    return [side / 2 * (1 + sign * value / depth / scenes.ZOOM) for sign, value in ((1, x), (-1, height))]


def outline(shape, size, orientation):
    """Points of the surface of an object that stands on the floor, their hull as large as it."""
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    tilts = np.linspace(0, np.pi, 101)
    ball = np.concatenate([np.sin(tilt) * circle + [0, np.cos(tilt), 0] for tilt in tilts])
    if shape == CUBE:
        corners = np.radians(orientation + np.array([0, 90, 180, 270]))
        square = 0.75 * np.sqrt(2) * np.stack([-np.sin(corners), 0 * corners, np.cos(corners)], axis=1)
        points = np.concatenate([square, square + np.array([0, 1.5, 0])])
    elif shape == CYLINDER:
        points = np.concatenate([0.8 * circle, 0.8 * circle + [0, 1.7, 0]])
    elif shape == BALL:
        points = 0.95 * ball + [0, 0.95, 0]
    else:
        points = np.concatenate([0.62 * ball + [0, height, 0] for height in (0.62, 1.38)])
    return size * points


def test_scenes_are_images_with_masks():
    factors = drawn(60)
    images, masks = data.draw_scenes(factors), data.scene_masks(factors)
    for values in (images, masks):
        assert (values.shape, values.dtype) == ((60, 32, 32, 3), np.float32)
        data.check_images(values)
    assert (
        data.draw_scenes(factors[:2], side=17).shape == data.scene_masks(factors[:2], side=17).shape == (2, 17, 17, 3)
    )


def test_masks_share_out_each_pixel_and_do_not_know_hues():
    factors = drawn(40, 1)
    masks = data.scene_masks(factors)
    np.testing.assert_allclose(masks.sum(axis=-1), 1, atol=1e-6)
    # Nine rays a pixel.
    np.testing.assert_allclose(masks * 9, np.round(masks * 9), atol=1e-5)
    for surface in range(3):
        assert ((masks[..., surface] > 0) & (masks[..., surface] < 1)).any()
    np.testing.assert_array_equal(masks, data.scene_masks(factors.assign(floor_hue=0, wall_hue=0, object_hue=0.3)))


@pytest.mark.parametrize(("name", "surface"), [("floor_hue", FLOOR), ("wall_hue", WALL), ("object_hue", OBJECT)])
def test_a_hue_colours_its_surface_and_no_other(name, surface):
    factors = drawn(24, 2)
    masks, images = data.scene_masks(factors), data.draw_scenes(factors)
    changed = data.draw_scenes(factors.assign(**{name: factors[name] + 0.4})) != images
    assert not changed[masks[..., surface] == 0].any()
    assert changed[masks[..., surface] > 0].any(axis=1).all()
    turned = data.draw_scenes(factors.assign(**{name: factors[name] - 2}))
    np.testing.assert_allclose(turned, images, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "surface", "saturation", "value"),
    [("floor_hue", FLOOR, 0.55, 0.95), ("wall_hue", WALL, 0.5, 0.95), ("object_hue", OBJECT, 0.8, 1.0)],
)
def test_a_surface_has_the_colour_of_its_hue_as_far_as_light_falls_on_it(name, surface, saturation, value):
    # Cubes, whose faces are too dull here for a highlight.
    factors = drawn(12, 3, shape=CUBE)
    pure = data.scene_masks(factors)[..., surface] > 0.999
    for image, mask, hue in zip(data.draw_scenes(factors), pure, factors[name]):
        colour = np.array(colorsys.hsv_to_rgb(hue, saturation, value))
        light = image[mask] / colour
        np.testing.assert_allclose(light, light.mean(axis=1, keepdims=True) * np.ones(3), atol=0.01)
        assert light.min() > 0.499 and light.max() < 1.01


def test_no_pixel_is_darker_than_the_shade_or_white_on_a_cube():
    # With an odd side a ray meets the edge of a cube in the middle.
    for side in (9, 32):
        factors = drawn(100, 4, shape=CUBE, orientation=np.where(np.arange(100) % 2, 0, drawn(100)["orientation"]))
        images = data.draw_scenes(factors, side)
        # Of a colour with the saturation 0.8 half the darkest channel.
        assert images.min() > 0.099 and images.max() < 0.93


@pytest.mark.parametrize("shape", range(4), ids=data.SCENE_FACTORS["shape"])
def test_an_object_is_seen_where_perspective_puts_it(shape):
    factors = drawn(12, 5, shape=shape)
    factors.loc[0, ["size", "orientation"]] = [1.0, 0.0]
    factors.loc[1, ["size", "orientation"]] = [0.6, 30.0]
    seen = data.scene_masks(factors, side=96)[..., OBJECT] > 0
    for mask, size, orientation in zip(seen, factors["size"], factors["orientation"]):
        columns, rows = projected(outline(shape, size, orientation), 96)
        for places, of_points in ((mask.any(axis=0), columns), (mask.any(axis=1), rows)):
            found = np.flatnonzero(places)
            assert found[0] == pytest.approx(of_points.min(), abs=1.1)
            assert found[-1] + 1 == pytest.approx(of_points.max(), abs=1.1)


def test_a_ball_has_the_area_of_the_rays_that_point_to_it():
    factors = drawn(8, 6, shape=BALL)
    found = data.scene_masks(factors)[..., OBJECT].sum(axis=(1, 2))
    place = (np.arange(960) + 0.5) / 480 - 1
    right, up = np.meshgrid(place * scenes.ZOOM, -place * scenes.ZOOM)
    for area, size in zip(found, factors["size"]):
        centre = np.array([0, 0.95 * size, 0]) - scenes.CAMERA
        forward = (scenes.LOOKS_AT - scenes.CAMERA).astype("float64")
        forward /= np.linalg.norm(forward)
        upward = np.array([0, forward[2], -forward[1]])
        cosine = (forward @ centre + up * (upward @ centre)) / np.sqrt(1 + right**2 + up**2) / np.linalg.norm(centre)
        inside = np.sqrt(1 - cosine**2) < 0.95 * size / np.linalg.norm(centre)
        assert area == pytest.approx(inside.sum() / 900, rel=0.03)


def test_the_corner_of_the_room_turns_with_it():
    for orientation in (-20, -11, 11, 20):
        factors = drawn(1, 7, shape=CAPSULE, size=0.6, orientation=orientation, wall_hue=0.0)
        angle = np.radians(orientation)
        corner = scenes.WALL * np.sqrt(2) * np.array([[-np.sin(angle), 0, np.cos(angle)]])
        (column,), (row,) = projected(corner, 96)
        floor = data.scene_masks(factors, side=96)[0, :, :, FLOOR]
        # The floor ends there, and nowhere else as far away.
        assert 96 - floor[:, int(column)].sum() == pytest.approx(row, abs=1)
        ends = [96 - floor[:, place].sum() for place in (0, 95)]
        assert min(ends) > row + 1
        # The two walls are of unlike brightness, and meet there. Left of the corner it is darker.
        above = data.draw_scenes(factors, side=96)[0, 2, :, 0]
        columns, rows = projected(corner + np.linspace(0, 5, 200)[:, np.newaxis] * [0, 1, 0], 96)
        column = columns[np.abs(rows - 2.5).argmin()]
        step = np.abs(np.diff(above)).argmax() + 1
        assert step == pytest.approx(column, abs=1.5)
        assert above[step - 3] < above[step + 3] - 0.05


def test_the_room_looks_the_same_after_a_quarter_turn():
    factors = drawn(24, 8)
    images = data.draw_scenes(factors)
    for turn in (90, -180, 360):
        turned = data.draw_scenes(factors.assign(orientation=factors["orientation"] + turn))
        assert (np.abs(turned - images) > 1e-3).mean() < 1e-3
    half = data.draw_scenes(factors.assign(orientation=factors["orientation"] + 45))
    assert (np.abs(half - images) > 1e-3).mean() > 0.1


def test_only_the_outline_of_a_cube_turns_with_the_room():
    for shape in range(4):
        one, other = data.scene_masks(drawn(2, 9, shape=shape, size=0.9, orientation=[-25.0, 12.0]))[..., OBJECT]
        assert np.array_equal(one, other) == (shape != CUBE)


def test_a_shadow_falls_on_the_floor_at_the_right_and_its_border_is_soft(monkeypatch):
    factors = drawn(40, 10, floor_hue=0.0)
    masks, images = data.scene_masks(factors), data.draw_scenes(factors)
    light = images[..., 0] / 0.95
    free = masks[..., FLOOR] > 0.999
    lit = np.median(light[free])
    direction = np.array([-0.55, 1, -0.55])
    assert lit == pytest.approx(0.5 + 0.5 / np.linalg.norm(direction), abs=0.005)
    shadow = free & (light < lit - 0.02)
    for mask, brightness, ink in zip(shadow, light, masks[..., OBJECT]):
        columns = np.nonzero(mask)[1]
        middle = (ink.sum(axis=0) * np.arange(32)).sum() / ink.sum()
        # It reaches past the object on the side away from the light, and hardly on the other.
        assert len(columns) > 5 and columns.mean() > middle + 1
        assert brightness[mask].min() < 0.56
    # Darkest where no light comes, and in between there is every grade, more than antialiasing makes.
    assert light[free].min() == pytest.approx(0.5, abs=1e-4)
    monkeypatch.setattr(scenes, "LIGHT_SIZE", 0)
    soft, hard = (
        ((x > 0.53) & (x < lit - 0.03))[free].sum() for x in (light, data.draw_scenes(factors)[..., 0] / 0.95)
    )
    assert soft > 1.2 * hard


def test_the_side_that_faces_the_light_is_brighter_and_a_ball_shines():
    factors = drawn(8, 11, shape=[CYLINDER, BALL] * 4, object_hue=0.0, size=1.0)
    images, masks = data.draw_scenes(factors), data.scene_masks(factors)[..., OBJECT]
    for image, mask in zip(images, masks):
        columns = np.flatnonzero(mask[18] > 0.999)
        left, right = (image[18, columns[:3], 0].mean(), image[18, columns[-3:], 0].mean())
        assert left > right + 0.1
    # On the side that is turned away there is no light but that from all around.
    columns = np.flatnonzero(masks[0, 18] > 0.999)
    assert images[0, 18, columns[-1], 0] == pytest.approx(0.5, abs=0.01)
    # The top of a cylinder is flat and bright.
    (column,), (row,) = projected(np.array([[0, 1.7, 0]]), 32)
    assert images[0, int(row), int(column), 0] == pytest.approx(0.5 + 0.5 / np.sqrt(1 + 2 * 0.55**2), abs=0.01)
    # Nothing is burnt out.
    assert images.max() < 1
    # The highlight is white: of a red ball, green and blue are bright as well, in its upper left quarter.
    ball = np.where(masks[1] > 0.999, images[1, :, :, 1], 0)
    rows, columns = np.nonzero(masks[1])
    row, column = np.unravel_index(ball.argmax(), ball.shape)
    assert ball.max() > 0.5 and row < rows.mean() and column < columns.mean()


def test_rays_that_are_left_out_do_not_meet_the_object(monkeypatch):
    factors = drawn(24, 12, size=1.0, shape=np.arange(24) % 4)
    images = data.draw_scenes(factors)
    monkeypatch.setattr(scenes, "_near", lambda start, direction: np.ones(direction.shape[1], bool))
    np.testing.assert_array_equal(data.draw_scenes(factors), images)


def test_each_row_gives_its_picture_whatever_the_others_are():
    factors = drawn(90, 13)
    images, masks = data.draw_scenes(factors), data.scene_masks(factors)
    order = rng(14).permutation(90)[:50]
    np.testing.assert_allclose(data.draw_scenes(factors.iloc[order]), images[order], atol=1e-6)
    np.testing.assert_array_equal(data.scene_masks(factors.iloc[order]), masks[order])


@pytest.mark.parametrize("draw", [data.draw_scenes, data.scene_masks])
def test_what_are_no_factors_and_no_side_is_refused(draw):
    with pytest.raises(ValueError, match="factors lack size"):
        draw(drawn(2).drop(columns="size"))
    with pytest.raises(ValueError, match=r"The factor 'size' runs from 0\.6 to 1\.2"):
        draw(drawn(2, size=[0.6, 1.2]))
    for side in (7, 32.0, "32", None):
        with pytest.raises(ValueError, match=f"side is {side!r}. Expected a whole number, 8 or more"):
            draw(drawn(2), side)
