"""plots.posteriors: posteriors on a grid, and ellipses of the distributions that stand for them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Ellipse
from seeding import rng

from vae_keras import plots

AXIS = np.linspace(-5, 5, 201)
# Two posteriors, at (1, -2) and (-1, 3), with standard deviations of 0.5 along z1 and 0.25 along z2.
CENTRES = np.array([[1.0, -2.0], [-1.0, 3.0]])
DENSITY = np.stack(
    [np.exp(-2 * (AXIS - x) ** 2 - 8 * (AXIS[:, None] - y) ** 2) / (2 * np.pi * 0.125) for x, y in CENTRES]
)
Q = (CENTRES + 0.5, np.log([[0.04, 0.25], [0.01, 0.09]]))
IMAGES = rng().random((2, 4, 3, 1))
ARGUMENTS = {
    "axis": AXIS,
    "density": DENSITY,
    "distributions": {"encoder": Q},
    "images": IMAGES,
    "log_likelihood": np.array([-148.84, -90.0]),
    "elbo": np.array([-150.35, -95.0]),
    "kl": np.array([1.51, 5.0]),
}


def panels(**arguments):
    axes = plots.posteriors(**ARGUMENTS | arguments).axes
    return axes[::2], axes[1::2]


def patches(panel):
    return [patch for patch in panel.patches if isinstance(patch, Ellipse)]


def test_every_image_stands_beside_its_posterior():
    pictures, spaces = panels()
    for picture, space, image, density in zip(pictures, spaces, IMAGES, DENSITY, strict=True):
        assert np.array_equal(np.squeeze(picture.images[0].get_array()), image[..., 0])
        assert np.array_equal(space.images[0].get_array(), density)


def test_the_shading_lies_where_the_posterior_is():
    for space, (x, y) in zip(panels()[1], CENTRES):
        shading = space.images[0]
        assert shading.origin == "lower"
        left, right, low, high = shading.get_extent()
        assert np.allclose([left, right, low, high], [-5.025, 5.025] * 2)
        row, column = np.unravel_index(shading.get_array().argmax(), (201, 201))
        assert left + (column + 0.5) * 0.05 == pytest.approx(x, abs=0.03)
        assert low + (row + 0.5) * 0.05 == pytest.approx(y, abs=0.03)


def test_ellipses_have_one_and_two_standard_deviations():
    for row, space in enumerate(panels()[1]):
        one, two = patches(space)
        assert np.allclose([one.center, two.center], Q[0][row])
        assert np.allclose([one.width, one.height], 2 * np.exp(Q[1][row] / 2))
        assert np.allclose([two.width, two.height], 4 * np.exp(Q[1][row] / 2))


def test_a_panel_is_a_square_that_holds_posterior_and_ellipses():
    far = (CENTRES + np.array([0, 1.7]), Q[1])
    for space, (x, y), spread in zip(panels(distributions={"far": far})[1], CENTRES, np.exp(Q[1] / 2)):
        left, right = space.get_xlim()
        low, high = space.get_ylim()
        assert right - left == pytest.approx(high - low)
        assert left < x - 1.2 < x + 1.2 < right
        assert low < y - 0.6
        assert high > y + 1.7 + 2 * spread[1]
        # It is no larger than that asks for.
        assert right - left < 1.2 * max(2.6, 0.7 + 1.7 + 2 * spread[1])
        assert (space.get_xlabel(), space.get_ylabel(), space.get_aspect()) == ("z1", "z2", 1)


def test_titles_say_how_the_numbers_add_up():
    assert [space.get_title() for space in panels()[1]] == [
        "log p(x) -148.8\nELBO -150.3, KL 1.5",
        "log p(x) -90.0\nELBO -95.0, KL 5.0",
    ]


def test_distributions_are_told_apart_by_colour_and_line():
    distributions = {"encoder": Q, "best": (CENTRES, Q[1]), "another": (CENTRES - 1, Q[1])}
    figure = plots.posteriors(**ARGUMENTS | {"distributions": distributions})
    drawn = [(to_hex(patch.get_edgecolor()), patch.get_linestyle()) for patch in patches(figure.axes[1])[::2]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["encoder", "best", "another"]
    assert [(line.get_color(), line.get_linestyle()) for line in legend.get_lines()] == drawn
    assert len(set(drawn)) == 3
    assert len({colour for colour, _ in drawn}) == 3


def test_images_are_broken_into_rows():
    arguments = {name: np.concatenate([ARGUMENTS[name]] * 2)[:3] for name in ("density", "images", "elbo", "kl")}
    arguments["log_likelihood"] = [-3, -2, -1]
    arguments["distributions"] = {"q": tuple(np.concatenate([part] * 2)[:3] for part in Q)}
    axes = np.reshape(plots.posteriors(**ARGUMENTS | arguments, columns=2).axes, (2, 4))
    assert [axis.axison for axis in axes[1]] == [True, True, False, False]
    assert axes[1, 1].get_title().startswith("log p(x) -1.0")
    assert len(plots.posteriors(**ARGUMENTS | arguments, columns=9).axes) == 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"axis": AXIS**3}, "(?s)axis is .*evenly rising"),
        ({"axis": AXIS[::-1]}, "(?s)axis is .*evenly rising"),
        ({"axis": AXIS[:, None]}, r"axis has shape \(201, 1\)"),
        ({"density": DENSITY[:, :, :-1]}, r"density has shape \(2, 201, 200\)"),
        ({"density": DENSITY * [[[1]], [[2]]]}, "density sums to 1, 2, times.*Expected 1"),
        ({"density": DENSITY * np.nan}, "density holds NaN"),
        ({"distributions": {}}, "distributions is {}"),
        ({"distributions": dict.fromkeys("abcd", Q)}, "distributions has 4 names. Expected 3 at most"),
        ({"distributions": {"q": Q[0]}}, "distributions\\['q'\\] is (?s:.*)Expected a pair"),
        ({"distributions": {"q": (Q[0], Q[1][:1])}}, "distributions\\['q'\\] has shape \\(1, 2\\)"),
        ({"distributions": {"q": (Q[0] * np.inf, Q[1])}}, "distributions\\['q'\\] holds NaN or infinity"),
        ({"images": IMAGES[:1]}, r"images has shape \(1, 4, 3, 1\)"),
        ({"images": IMAGES * 255}, "images holds values from"),
        ({"log_likelihood": [1]}, r"log_likelihood has shape \(1,\)"),
        ({"elbo": 3}, r"elbo has shape \(\)"),
        ({"kl": [np.nan, 1]}, "kl holds NaN"),
        ({"columns": 0}, "columns is 0"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        plots.posteriors(**ARGUMENTS | wrong)
