"""sharpness: the Laplacian and the spectrum of images."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from seeding import rng

from vae_keras import data
from vae_keras.sharpness import high_frequency_share, laplacian_variance, power_spectrum, unsharp_mask

MEASURES = (laplacian_variance, high_frequency_share)


def grating(height, width, down, across, contrast=0.4):
    """Stripes, or squares, of so many half cycles, with a crest at the upper and the left edge."""
    y, x = ((np.arange(side) + 0.5) / side for side in (height, width))
    waves = np.cos(np.pi * down * y)[:, None] * np.cos(np.pi * across * x)
    return (0.5 + contrast * waves)[None, ..., None]


@pytest.fixture(scope="module")
def digits():
    return data.load("mnist_5k").x_test


@pytest.mark.parametrize("level", [0, 0.3, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_even_image_is_not_sharp(level, dtype, channels):
    x = np.full((2, 9, 6, channels), level, dtype)
    for measure in MEASURES:
        np.testing.assert_allclose(measure(x), [0, 0], atol=1e-12)
    np.testing.assert_allclose(power_spectrum(x)[1], 0, atol=1e-12)


def test_the_laplacian_of_a_white_pixel_by_hand():
    x = np.zeros((3, 7, 9, 1))
    x[0, 3, 4] = x[1, 1, 1] = x[2, 0, 3] = 1
    # Of 5 x 7 pixels with four neighbours, in turn: all of the cross; its middle and two arms; one arm.
    sums, squares = np.array([0, -2, 1]), np.array([20, 18, 1])
    np.testing.assert_allclose(laplacian_variance(x), squares / 35 - (sums / 35) ** 2)


@pytest.mark.parametrize(("height", "width", "down", "across"), [(16, 16, 0, 6), (9, 16, 4, 0), (16, 9, 5, 3)])
def test_the_laplacian_of_a_grating(height, width, down, across):
    x = grating(height, width, down, across)
    factor = 4 - 2 * np.cos(np.pi * down / height) - 2 * np.cos(np.pi * across / width)
    np.testing.assert_allclose(laplacian_variance(x), factor**2 * x[:, 1:-1, 1:-1].var())


def test_the_laplacian_grows_with_the_square_of_the_contrast_and_the_share_does_not_change():
    x = rng().random((5, 12, 11, 1))
    np.testing.assert_allclose(laplacian_variance(0.5 * x + 0.2), laplacian_variance(x) / 4)
    np.testing.assert_allclose(high_frequency_share(0.5 * x + 0.2), high_frequency_share(x))
    np.testing.assert_allclose(power_spectrum(0.5 * x + 0.2)[1], power_spectrum(x)[1] / 4)


@pytest.mark.parametrize(
    ("height", "width", "down", "across"),
    [
        (28, 28, 14, 0),
        (28, 28, 0, 15),
        (28, 28, 9, 12),
        (15, 15, 4, 3),
        (20, 33, 0, 12),
        (33, 20, 21, 0),
        (20, 10, 8, 3),
    ],
)
def test_all_power_of_a_grating_is_at_its_frequency(height, width, down, across):
    x = grating(height, width, down, across)
    frequency = np.hypot(down / height, across / width) / 2
    assert high_frequency_share(x, above=frequency - 1e-6) == pytest.approx(1)
    assert high_frequency_share(x, above=frequency + 1e-6) == pytest.approx(0)
    frequencies, power = power_spectrum(x)
    nearest = np.abs(frequencies - frequency).argmin()
    assert power[0, nearest] > 0
    np.testing.assert_allclose(np.delete(power[0], nearest), 0, atol=1e-12)


def test_the_power_of_a_grating_is_its_variance_spread_over_its_ring():
    x = grating(12, 12, 0, 2)
    power = power_spectrum(x)[1][0]
    # Nearest to two half cycles are (0, 2), (2, 0), and (1, 2) and (2, 1), which have 2.24; (1, 1) has 1.41.
    assert power[1] * 4 == pytest.approx(144 * x.var())


@pytest.mark.parametrize(("height", "width"), [(28, 28), (9, 14), (15, 10), (3, 3)])
def test_frequencies_count_half_cycles_along_the_longer_side(height, width):
    frequencies, power = power_spectrum(rng().random((4, height, width, 3)))
    longer = max(height, width)
    np.testing.assert_allclose(frequencies, np.arange(1, longer) / (2 * longer))
    assert power.shape == (4, longer - 1)
    assert (power > 0).all()


def test_the_spectrum_of_noise_is_flat():
    x = 0.5 + 0.1 * rng().standard_normal((800, 16, 24, 1)).clip(-4, 4)
    _, power = power_spectrum(x)
    # Four standard errors of a ring of 2 coefficients, of which the square varies by the root of two.
    np.testing.assert_allclose(power.mean(axis=0), 0.01, atol=4 * 0.01 * np.sqrt(2 / (2 * 800)))


@pytest.mark.parametrize("phase", np.linspace(0, np.pi, 5))
@pytest.mark.parametrize("angle", [0, 0.4, 2])
def test_stripes_of_any_phase_and_direction_lie_about_at_their_frequency(phase, angle):
    y, x = np.mgrid[:32, :32]
    along = np.cos(angle) * x + np.sin(angle) * y
    wide, fine = ((0.5 + 0.4 * np.cos(2 * np.pi * f * along + phase))[None, ..., None] for f in (0.12, 0.38))
    assert high_frequency_share(wide) < 0.02
    assert high_frequency_share(fine) > 0.93


def test_a_step_from_one_edge_to_the_other_is_no_detail():
    x = np.broadcast_to(np.linspace(0, 1, 32)[:, None, None], (1, 32, 32, 1))
    assert high_frequency_share(x) < 1e-4


@pytest.mark.parametrize("measure", MEASURES)
def test_turned_and_mirrored_images_are_as_sharp(measure):
    x = rng().random((6, 11, 16, 1))
    for other in (x.transpose(0, 2, 1, 3), x[:, ::-1], x[:, :, ::-1], 1 - x):
        np.testing.assert_allclose(measure(other), measure(x))


@pytest.mark.parametrize("measure", MEASURES)
def test_each_image_is_measured_for_itself(measure):
    x = rng().random((6, 8, 11, 3))
    assert measure(x).shape == (6,)
    np.testing.assert_allclose(measure(x), [measure(image[None])[0] for image in x])


@pytest.mark.parametrize("measure", MEASURES)
def test_blur_lowers_and_noise_raises_the_sharpness_of_digits(measure, digits):
    digits = digits[::10]
    blurred = [measure(gaussian_filter(digits, (0, sigma, sigma, 0))) for sigma in (0, 0.5, 1, 1.5, 2)]
    assert (np.diff(blurred, axis=0) < 0).all()
    noise = rng().standard_normal(digits.shape)
    means = [measure((digits + stddev * noise).clip(0, 1)).mean() for stddev in (0, 0.05, 0.1, 0.2)]
    assert (np.diff(means) > 0).all()


def test_real_digits_have_a_tenth_of_their_energy_above_seven_cycles(digits):
    assert high_frequency_share(digits).mean() == pytest.approx(0.101, abs=0.001)
    assert np.median(laplacian_variance(digits)) == pytest.approx(0.188, abs=0.001)


def test_a_higher_frequency_leaves_a_smaller_share():
    x = rng().random((9, 14, 14, 1))
    shares = np.array([high_frequency_share(x, above=above) for above in (0, 0.1, 0.25, 0.4, 0.49)])
    np.testing.assert_allclose(shares[0], 1)
    assert (np.diff(shares, axis=0) < 0).all()


def test_what_lies_at_the_frequency_is_not_above_it():
    assert high_frequency_share(grating(28, 28, 14, 0)) == pytest.approx(0)
    assert high_frequency_share(grating(28, 28, 15, 0)) == pytest.approx(1)


def test_colour_is_measured_in_grey():
    grey = rng().random((4, 9, 9, 1))
    for measure in MEASURES:
        np.testing.assert_allclose(measure(np.repeat(grey, 3, axis=-1)), measure(grey), rtol=1e-3)
    for channel, weight in enumerate((0.2989, 0.587, 0.114)):
        colour = np.zeros((4, 9, 9, 3))
        colour[..., channel] = grey[..., 0]
        np.testing.assert_allclose(laplacian_variance(colour), weight**2 * laplacian_variance(grey))


@pytest.mark.parametrize("measure", [*MEASURES, power_spectrum])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 8, 8)), r"shape \(5, 8, 8\)"),
        (np.zeros((0, 8, 8, 1)), "empty"),
        (np.full((1, 8, 8, 1), 255), "255"),
        (np.full((1, 8, 8, 1), np.nan), "NaN"),
        (np.zeros((1, 8, 8, 2)), r"\(1, 8, 8, 2\)\. Expected 1 or 3 channels"),
        (np.zeros((1, 2, 8, 1)), r"\(1, 2, 8, 1\)\. Expected .* 3 x 3"),
        (np.zeros((1, 8, 2, 1)), r"\(1, 8, 2, 1\)\. Expected .* 3 x 3"),
    ],
)
def test_what_are_no_images_is_refused(measure, images, message):
    with pytest.raises(ValueError, match=message):
        measure(images)


@pytest.mark.parametrize("above", [-0.1, 0.5, 7, np.nan, "high", None])
def test_what_is_no_frequency_is_refused(above):
    with pytest.raises(ValueError, match=f"above is {above!r}.*cycles per pixel"):
        high_frequency_share(np.zeros((1, 8, 8, 1)), above=above)


def test_an_unsharp_mask_moves_each_pixel_away_from_those_around_it(digits):
    images = rng(7).uniform(0.4, 0.6, size=(3, 9, 8, 3)).astype("float32")
    blurred = np.stack([gaussian_filter(image, (1.5, 1.5, 0)) for image in images])
    sharpened = unsharp_mask(images, amount=0.5, width=1.5)
    np.testing.assert_allclose(sharpened, images + 0.5 * (images - blurred), atol=1e-6)
    assert sharpened.dtype == np.float32
    np.testing.assert_array_equal(unsharp_mask(images, amount=0), images)
    even = np.full((1, 5, 5, 1), 0.3, "float32")
    np.testing.assert_allclose(unsharp_mask(even), even, atol=1e-6)
    both = unsharp_mask(gaussian_filter(digits, (0, 0.7, 0.7, 0)))
    assert both.min() == 0
    assert both.max() <= 1
    blur = gaussian_filter(digits, (0, 0.7, 0.7, 0))
    assert (laplacian_variance(both) > laplacian_variance(blur)).all()
    # A blurred digit comes nearer to what it was.
    assert np.square(both - digits).mean() < np.square(blur - digits).mean()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": np.zeros((5, 5, 1))}, "images"),
        ({"amount": -0.5}, r"amount is -0\.5\. Expected a number, 0 or more"),
        ({"amount": np.nan}, r"amount is nan"),
        ({"width": 0}, r"width is 0\. Expected the standard deviation"),
        ({"width": "1"}, r"width is '1'"),
    ],
)
def test_a_mask_of_no_images_or_numbers_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        unsharp_mask(**{"images": np.zeros((2, 5, 5, 1), "float32"), **changed})
