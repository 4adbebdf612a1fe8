"""shapes: slant, thickness, length and area of strokes, and the angle of a line."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, label
from seeding import rng

from vae_keras import data, shapes
from vae_keras.shapes import line_smoothness, measures, nearest_lines

CUT = 6


def drawn(inside, n=1, height=28, width=28):
    """Images, antialiased, of what `inside(x, y)` says of places, x to the right and y up from the centre."""
    x, y = (np.arange(CUT * side) / CUT + 0.5 / CUT - side / 2 for side in (width, height))
    ink = np.broadcast_to(inside(x, -y[:, None]), (n, CUT * height, CUT * width))
    return ink.reshape(n, height, CUT, width, CUT).mean(axis=(2, 4))[..., None].astype("float32")


def columns(*values):
    return [np.asarray(value, float)[:, None, None] for value in np.broadcast_arrays(*map(np.atleast_1d, values))]


def bars(angle=0.0, thickness=3.0, length=14.0, right=0.0, up=0.0, **sides):
    """Straight strokes with round ends; the angle from upright, to the right, the length between the ends' centres."""
    angle, thickness, length, right, up = columns(angle, thickness, length, right, up)

    def inside(x, y):
        along, across = ((x - right) * a + (y - up) * b for a, b in zip(*direction))
        return np.hypot(np.maximum(np.abs(along) - length / 2, 0), across) <= thickness / 2

    direction = (np.sin(angle), np.cos(angle)), (np.cos(angle), -np.sin(angle))
    return drawn(inside, n=len(angle), **sides)


def sheared(slant, thickness=4.0, height=16.0):
    """Upright bars with flat ends, sheared by an angle."""
    slant, thickness, height = columns(slant, thickness, height)
    return drawn(
        lambda x, y: (np.abs(y) <= height / 2) & (np.abs(x - y * np.tan(slant)) <= thickness / 2), n=len(slant)
    )


def rings(radius, thickness):
    radius, thickness = columns(radius, thickness)
    return drawn(lambda x, y: np.abs(np.hypot(x, y) - radius) <= thickness / 2, n=len(radius))


def shifts(n, seed=0):
    return rng(seed).uniform(-0.5, 0.5, (2, n))


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]


@pytest.fixture(scope="module")
def strokes():
    """Strokes of all angles, thicknesses and lengths, at all places within a pixel: their values, and the measured."""
    n, generator = 250, rng(1)
    values = {
        "angle": generator.uniform(-np.pi / 2, np.pi / 2, n),
        "thickness": generator.uniform(2, 4.5, n),
        "length": generator.uniform(6, 18, n),
    }
    right, up = shifts(n, seed=2)
    return values, measures(bars(**values, right=right, up=up))


def test_a_table_has_a_row_for_each_image():
    table = measures(bars(thickness=[2, 3, 4]))
    assert list(table.columns) == ["slant", "thickness", "length", "area"]
    assert table.index.tolist() == [0, 1, 2]
    assert (table.dtypes == "float64").all()


def test_thickness_is_that_of_the_stroke(strokes):
    values, table = strokes
    error = table["thickness"] - values["thickness"]
    assert correlation(table["thickness"], values["thickness"]) > 0.99
    assert abs(error.mean()) < 0.03
    assert error.abs().max() < 0.6


def test_length_is_that_between_the_centres_of_the_ends_at_every_angle(strokes):
    values, table = strokes
    error = table["length"] - values["length"]
    assert correlation(table["length"], values["length"]) > 0.99
    # The ends come 0.2 pixels short each.
    assert error.mean() == pytest.approx(-0.4, abs=0.2)
    # Steps of 1 and sqrt(2) would make strokes longer that lean by 22.5 degrees, by 8 % or one pixel.
    turned = np.abs(np.abs(values["angle"]) - np.pi / 4)
    between = (turned > np.pi / 16) & (turned < 3 * np.pi / 16)
    assert error[between].mean() == pytest.approx(error[~between].mean(), abs=0.15)
    thick = values["thickness"] > 3
    assert error[thick].mean() == pytest.approx(error[~thick].mean(), abs=0.15)


def test_area_is_that_of_the_stroke(strokes):
    values, table = strokes
    area = values["length"] * values["thickness"] + np.pi / 4 * values["thickness"] ** 2
    assert correlation(table["area"], area) > 0.999
    error = table["area"] - area
    assert error.mean() == pytest.approx(-0.5, abs=0.3)
    assert error.abs().max() < 6
    np.testing.assert_allclose(measures(sheared(0, thickness=[2, 4, 6], height=10))["area"], [20, 40, 60], rtol=0.03)


def test_slant_is_the_angle_of_the_shear():
    slant = rng(3).uniform(-1, 1, 100)
    measured = measures(sheared(slant, thickness=rng(4).uniform(2, 6, 100), height=rng(5).uniform(8, 16, 100)))["slant"]
    assert correlation(measured, slant) > 0.999
    np.testing.assert_allclose(measured, slant, atol=0.05)


def test_slant_of_a_stroke_follows_from_its_moments(strokes):
    values, table = strokes
    # Variances along and across of a bar and of two half discs at its ends.
    r, half = values["thickness"] / 2, values["length"] / 2
    bar, ends = 4 * r * half, np.pi * r**2
    along = bar * half**2 / 3 + ends * (half**2 + r**2 / 4) + 8 / 3 * half * r**3
    across = bar * r**2 / 3 + ends * r**2 / 4
    sine, cosine = np.sin(values["angle"]), np.cos(values["angle"])
    expected = np.arctan((along - across) * sine * cosine / (along * cosine**2 + across * sine**2))
    # Where a stroke lies, the slant hangs on the few rows that it has.
    stands = np.abs(values["angle"]) < 1.2
    assert correlation(table["slant"][stands], expected[stands]) > 0.999
    np.testing.assert_allclose(table["slant"][stands], expected[stands], atol=0.05)


def test_a_ring_has_its_circumference_and_no_slant():
    radius, thickness = np.array([4, 6, 8, 10]), np.array([2, 4, 3, 2])
    table = measures(rings(radius, thickness))
    np.testing.assert_allclose(table["length"], 2 * np.pi * radius, rtol=0.03)
    np.testing.assert_allclose(table["thickness"], thickness, atol=0.12)
    np.testing.assert_allclose(table["area"], 2 * np.pi * radius * thickness, rtol=0.02)
    np.testing.assert_allclose(table["slant"], 0, atol=0.01)


def test_strokes_that_cross_or_lie_apart_are_both_counted():
    one, other = bars(angle=0.6, thickness=2.5, length=16), bars(angle=-0.6, thickness=2.5, length=16)
    crossed, single = measures(np.maximum(one, other)), measures(one)
    assert crossed["length"][0] == pytest.approx(2 * single["length"][0], rel=0.05)
    assert crossed["slant"][0] == pytest.approx(0, abs=0.01)
    left, right = bars(length=12, right=-6), bars(length=12, right=6)
    apart, single = measures(np.maximum(left, right)), measures(left)
    for column, factor in {"length": 2, "area": 2, "thickness": 1}.items():
        assert apart[column][0] == pytest.approx(factor * single[column][0], rel=1e-3)


@pytest.mark.parametrize(("angle", "thickness"), [(0.3, 3.0), (-0.9, 1.7), (0.6, 4.2)])
def test_shifts_within_a_pixel_hardly_move_the_measures(angle, thickness):
    right, up = shifts(60, seed=6)
    table = measures(bars(angle, thickness, 14, right, up))
    for column, most in {"slant": 0.01, "thickness": 0.06, "length": 0.45, "area": 0.5}.items():
        assert table[column].std() < most, column


def test_shifts_of_a_stroke_along_the_pixels_move_its_edges_by_a_pixel_of_the_enlarged_image():
    right, up = shifts(60, seed=6)
    table = measures(bars(0, 2.5, 14, right, up))
    assert np.abs(table["thickness"] - 2.6).max() < 0.5
    assert np.abs(table["area"] - (14 * 2.5 + np.pi / 4 * 2.5**2)).max() < 0.35 * 16.5
    assert np.ptp(table["slant"]) < 0.01


def test_a_mirror_turns_the_slant_only():
    images = bars(angle=[0.2, 0.5], thickness=[2, 4], length=[10, 16])
    table, mirrored = measures(images), measures(images[:, :, ::-1])
    np.testing.assert_allclose(mirrored["slant"], -table["slant"], atol=1e-6)
    np.testing.assert_allclose(mirrored["area"], table["area"], rtol=1e-6)
    np.testing.assert_allclose(mirrored[["thickness", "length"]], table[["thickness", "length"]], rtol=0.05)
    assert (table["slant"] > 0).all()


def test_neither_brightness_nor_haze_nor_a_mild_blur_changes_the_shape():
    images = bars(angle=[0.2, -0.6], thickness=[3, 4], length=[10, 16])
    table = measures(images)
    brightness = np.array([0.6, 1])[:, None, None, None]
    np.testing.assert_allclose(measures(brightness * images), table, rtol=1e-5)
    hazy = measures(0.05 + 0.95 * images)
    np.testing.assert_allclose(hazy, table, rtol=0.05)
    blurred = measures(gaussian_filter(images, (0, 0.7, 0.7, 0)))
    np.testing.assert_allclose(blurred["slant"], table["slant"], atol=0.02)
    lengths = ["thickness", "length", "area"]
    np.testing.assert_allclose(blurred[lengths], table[lengths], rtol=0.15)


def test_an_image_that_shows_nothing_has_no_measures_and_the_others_keep_theirs():
    images = bars(angle=[0.2, -0.6, 0.4])
    table = measures(images)
    with_blank = images.copy()
    with_blank[1] *= 0.49
    measured = measures(with_blank)
    assert measured.iloc[1].isna().all()
    np.testing.assert_array_equal(measured.iloc[[0, 2]], table.iloc[[0, 2]])
    with_blank[1] = 0
    assert measures(with_blank).isna().sum().tolist() == [1] * 4
    assert measures(with_blank[1:2]).isna().all(axis=None)
    assert measures(images / images.max() / 2).notna().all(axis=None)


def test_each_image_is_measured_for_itself(monkeypatch):
    images = np.concatenate([bars(angle=rng(7).uniform(-1, 1, 6), thickness=rng(8).uniform(2, 5, 6)), 0 * bars()])
    together = measures(images)
    alone = np.concatenate([measures(image[None]) for image in images])
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    monkeypatch.setattr(shapes, "BATCH", 3)
    np.testing.assert_allclose(measures(images), together, rtol=1e-6)


def test_ink_at_the_border_ends_there():
    # The same stroke in a frame so narrow that it reaches the border on all sides but one, and in a wide one.
    wide = np.zeros((1, 28, 28, 1), "float32")
    wide[0, 5:21, 8:12] = 1
    narrow = wide[:, 5:21, 8:14]
    assert narrow.shape == (1, 16, 6, 1)
    np.testing.assert_allclose(measures(narrow), measures(wide), rtol=0.02, atol=0.02)
    # A page full of ink is a square, and a dot has no length.
    full = measures(np.ones((1, 10, 10, 1)))
    assert full["area"][0] == pytest.approx(100, rel=0.02)
    dot = measures(drawn(lambda x, y: np.hypot(x, y) <= 2))
    assert dot["thickness"][0] == pytest.approx(4, abs=0.6)
    assert dot["length"][0] < 0.5
    assert dot["area"][0] == pytest.approx(4 * np.pi, rel=0.04)


def test_the_ridge_keeps_parts_and_holes_and_is_a_line():
    ink = np.pad(np.concatenate([rings(7, 4), bars(thickness=5)])[..., 0] > 0.5, ((0, 0), (1, 1), (1, 1)))
    ridge = shapes._ridge(ink, shapes._depth(ink))
    assert not (ridge & ~ink).any()
    # A closed line has two neighbours at each pixel; an open one has two ends.
    neighbours = sum(np.roll(ridge, step, axis=(1, 2)) for step in shapes.NEIGHBOURS) * ridge
    assert neighbours[0].max() == 2 and (neighbours[0] == 1).sum() == 0
    assert (neighbours[1] == 1).sum() == 2
    # In the middle of the ink: the depth there is half the thickness.
    assert shapes._depth(ink)[0][ridge[0]].mean() == pytest.approx(2, abs=0.4)


def test_a_ridge_has_no_more_ridge_in_it():
    # Strokes, discs and pages of ink: large layers and small.
    discs = [drawn(lambda x, y, radius=radius: np.hypot(x, 1.3 * y) <= radius) for radius in (1, 3, 6, 9)]
    strokes = bars(angle=rng(12).uniform(-2, 2, 40), thickness=rng(13).uniform(1, 9, 40))
    images = np.concatenate([strokes, *discs, np.ones((1, 28, 28, 1), "float32")])
    ink = np.pad(images[..., 0].repeat(3, axis=1).repeat(3, axis=2) > 0.5, ((0, 0), (1, 1), (1, 1)))
    ridge = shapes._ridge(ink, shapes._depth(ink))
    np.testing.assert_array_equal(shapes._ridge(ridge, shapes._depth(ridge)), ridge)
    assert_pieces_are_kept(ink, ridge)
    # Blots of any form, but for a few of which a pixel could go that an inner layer has freed.
    blots = gaussian_filter(rng(14).normal(size=(100, 84, 84)), (0, 4, 4)) > 0.02
    ink = np.pad(blots, ((0, 0), (1, 1), (1, 1)))
    ridge = shapes._ridge(ink, shapes._depth(ink))
    assert (shapes._ridge(ridge, shapes._depth(ridge)) != ridge).any(axis=(1, 2)).mean() < 0.05
    assert_pieces_are_kept(ink, ridge)


def assert_pieces_are_kept(ink, ridge):
    # The ridge has as many pieces as the ink.
    pieces = [[label(image, np.ones((3, 3)))[1] for image in shown] for shown in (ink, ridge)]
    assert pieces[0] == pieces[1]


def test_the_length_of_lines_of_pixels_is_right_at_all_angles_but_for_two_hundredths():
    # Lines from the lower left, a pixel in each of 400 columns, up to 45 degrees.
    angles = np.deg2rad(np.arange(0, 46))
    columns = np.arange(400)
    ridge = np.zeros((len(angles), 404, 402), bool)
    for line, angle in zip(ridge, angles):
        line[402 - np.rint(columns * np.tan(angle)).astype(int), columns + 1] = True
    ratio = shapes._length(ridge) / (399 / np.cos(angles))
    assert ratio.mean() == pytest.approx(1, abs=0.005)
    assert np.abs(ratio - 1).max() < 0.022
    np.testing.assert_allclose(shapes._length(ridge[:, :, ::-1]), shapes._length(ridge))
    np.testing.assert_allclose(shapes._length(ridge.transpose(0, 2, 1)), shapes._length(ridge))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28)), r"\(2, 28, 28\)"),
        (np.zeros((0, 28, 28, 1)), "empty"),
        (np.zeros((2, 28, 28, 3)), r"images have 3 channels.*mean"),
        (np.full((2, 28, 28, 1), 255), "255"),
        (np.full((2, 28, 28, 1), np.nan), "NaN"),
        (None, "shape"),
    ],
)
def test_what_has_no_strokes_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        measures(images)


PAIRS, STEPS = 12, 16


@pytest.fixture(scope="module")
def controls():
    """Angles of paths that turn evenly, the pictures on them, and mixes of the pixels of the two at their ends."""
    start = rng(9).uniform(0, 2 * np.pi, PAIRS)
    # Turns by a radian or more either way, across 0 too.
    turn = rng(10).uniform(1, 3, PAIRS) * np.where(np.arange(PAIRS) % 2, 1, -1)
    shares = np.linspace(0, 1, STEPS)
    angles = start[:, None] + turn[:, None] * shares
    first, last = data.draw_lines(angles[:, 0])[:, None], data.draw_lines(angles[:, -1])[:, None]
    shares = shares[:, None, None, None]
    mixed = ((1 - shares) * first + shares * last).astype("float32")
    return angles, data.draw_lines(angles.ravel()), mixed.reshape(-1, 32, 32, 1)


def smoothness(angles):
    return line_smoothness(angles.reshape(PAIRS, STEPS))


def test_a_perfect_path_of_lines_is_near_lines_and_smooth(controls):
    angles, lines, _ = controls
    distance, angle = nearest_lines(lines, count=4000)
    # Between two lines a quarter of a step away, on average: it falls with the square of their number.
    assert distance.mean() < 3e-6
    assert (distance >= 0).all()
    assert angle.min() >= 0 and angle.max() < 2 * np.pi
    # Half a step between two of the lines that are compared with, and a little for the search.
    apart = (angle - angles.ravel() + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(apart).max() < 2 * np.pi / 4000
    assert (np.abs(smoothness(angle)) < 0.003).all()


def test_a_mix_of_pixels_is_far_from_lines_and_jumps(controls):
    _, _, mixed = controls
    distance, angle = nearest_lines(mixed, count=1000)
    assert distance.mean() == pytest.approx(6.5e-3, rel=0.3)
    distance = distance.reshape(PAIRS, STEPS)
    np.testing.assert_allclose(distance[:, [0, -1]], 0, atol=1e-4)
    assert (distance[:, 7] > 5e-3).all()
    assert smoothness(angle).mean() > 0.7


def test_the_distance_is_the_cosine_distance_of_pixels_from_minus_1_to_1():
    image = rng(11).random((1, 8, 8, 1), dtype="float32")
    a, b = 2.0 * image.ravel() - 1, 2.0 * data.draw_lines([0, np.pi], side=8).reshape(2, -1) - 1
    expected = 1 - b @ a / np.linalg.norm(a) / np.linalg.norm(b, axis=1)
    distance, angle = nearest_lines(image, count=2)
    assert distance[0] == pytest.approx(expected.min(), rel=1e-5)
    assert angle[0] == [0, np.pi][expected.argmin()]


def test_a_line_that_is_among_those_compared_with_is_found_itself():
    angles = np.arange(60) * 2 * np.pi / 60
    distance, angle = nearest_lines(data.draw_lines(angles), count=60)
    np.testing.assert_allclose(angle, angles)
    assert (distance >= 0).all() and (distance < 1e-12).all()


def test_lines_are_found_for_each_image_whatever_the_batch(monkeypatch, controls):
    _, lines, mixed = controls
    images = np.concatenate([lines[:5], mixed[:5]])
    found = nearest_lines(images, count=100)
    monkeypatch.setattr(shapes, "BATCH", 4)
    np.testing.assert_allclose(nearest_lines(images, count=100), found, atol=1e-12)
    assert [len(values) for values in found] == [10, 10]


def test_an_even_grey_is_near_no_line_and_a_blank_is_as_near_to_all():
    images = np.stack([np.full((16, 16, 1), grey) for grey in (0.5, 0, 1)])
    distance, angle = nearest_lines(images, count=50)
    assert np.isnan([distance[0], angle[0]]).all()
    # Black differs from a line in its ink alone, 14 of 256 pixels: the cosine is 1 - 2 * 14 / 256, but for grey edges.
    assert distance[1] == pytest.approx(2 * 14 / 256, rel=0.25)
    assert distance[2] == pytest.approx(2 - 2 * 14 / 256, rel=0.05)


@pytest.mark.parametrize(
    ("images", "count", "message"),
    [
        (np.zeros((2, 16, 16)), 100, r"\(2, 16, 16\)"),
        (np.zeros((2, 16, 12, 1)), 100, r"\(2, 16, 12, 1\).*square"),
        (np.zeros((2, 16, 16, 3)), 100, r"\(2, 16, 16, 3\).*square grey"),
        (np.full((2, 16, 16, 1), -1), 100, "-1"),
        (np.full((2, 16, 16, 1), np.nan), 100, "NaN"),
        (np.zeros((2, 3, 3, 1)), 100, "side is 3"),
        *((np.zeros((2, 16, 16, 1)), count, f"count is {count!r}") for count in (1, 0, 10.0, "10", None)),
    ],
)
def test_what_has_no_nearest_line_is_refused(images, count, message):
    with pytest.raises(ValueError, match=message):
        nearest_lines(images, count)


def test_smoothness_by_hand():
    angles = [
        [0, 1, 2, 3],  # Even.
        [3, 2, 1, 0],
        [0, 0, 3, 3],  # All at once.
        [0, 2, 3, 4],  # Half the turn in one step of three.
        [0, 2, 1, 3],  # It turns back; the largest step is 2 of 3.
        [0, 2, -1, 0.5],  # A step of 3, six times the whole turn.
    ]
    expected = [0, 0, 1 - 1 / 3, 1 / 2 - 1 / 3, 2 / 3 - 1 / 3, 6 - 1 / 3]
    np.testing.assert_allclose(line_smoothness(angles), expected, atol=1e-12)


def test_smoothness_goes_on_across_zero():
    angles = np.linspace(5.5, 7.5, 6)[None]
    np.testing.assert_allclose(line_smoothness(angles % (2 * np.pi)), 0, atol=1e-12)
    np.testing.assert_allclose(line_smoothness(-angles % (2 * np.pi)), 0, atol=1e-12)
    # Once around and a half: the whole turn counts, and not the angle between the ends.
    around = np.linspace(0, 3 * np.pi, 9)[None]
    np.testing.assert_allclose(line_smoothness(around % (2 * np.pi)), 0, atol=1e-12)


def test_smoothness_is_unknown_where_nothing_turns_or_an_angle_is():
    angles = [[1, 2, 1], [1, 1, 1], [1, np.nan, 2], [1, 1.0001, 1.00009], [1, 1.05, 1.1]]
    assert np.isnan(line_smoothness(angles)).tolist() == [True, True, True, True, False]
    # A whole turn begins and ends at the same line too, but it turns.
    assert line_smoothness([[0, 2, 4, 2 * np.pi]])[0] == pytest.approx((2 * np.pi - 4) / (2 * np.pi) - 1 / 3)


@pytest.mark.parametrize(
    ("angles", "message"),
    [
        ([0, 1, 2], r"angles have shape \(3,\)"),
        ([[0], [1]], r"angles have shape \(2, 1\).*2 steps"),
        (np.zeros((0, 5)), r"angles have shape \(0, 5\)"),
        (np.zeros((2, 3, 4)), r"angles have shape \(2, 3, 4\)"),
        ([[0, np.inf]], "infinity"),
        ([["up", "down"]], "angles hold no numbers"),
        (None, "angles have shape|angles hold no numbers"),
    ],
)
def test_angles_that_make_no_path_are_refused(angles, message):
    with pytest.raises(ValueError, match=message):
        line_smoothness(angles)
