"""Sharpness: how much fine detail images show. Noise is fine detail too: read it beside a Frechet distance."""

from numbers import Real

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from vae_keras.data import check_images

# The weights of red, green and blue in grey, those of `tf.image.rgb_to_grayscale`.
GREY = (0.2989, 0.587, 0.114)
# The smallest image with a pixel that has four neighbours.
SMALLEST = 3
# An image of a smaller variance is even: float32 tells its pixels hardly apart.
EVEN = 1e-12


def laplacian_variance(images: np.ndarray) -> np.ndarray:
    """Measure how sharp images are by the variance of their Laplacian.

    As in the code of Wasserstein autoencoders (Tolstikhin et al. 2018): in grey, each pixel that has four neighbours is
    replaced by their sum minus four times itself. Blur lowers the variance of that over the image. Noise raises it, so
    that a noisy image passes for a sharp one: read it beside a Frechet distance (`judge.compare`). It grows with the
    square of the contrast, so that a faint image passes for a blurred one: read it beside `high_frequency_share`.

    Args:
        images: (n, height, width, channels), in [0, 1], of 1 or 3 channels, 3 x 3 pixels or more.

    Returns:
        The variance for each image, (n,), in squared units of a white pixel; 0 where the grey is even.

    Raises:
        ValueError: For what are no images, another number of channels, and smaller images.
    """
    grey = _grey(images)
    neighbours = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return (neighbours - 4 * grey[:, 1:-1, 1:-1]).var(axis=(1, 2))


def high_frequency_share(images: np.ndarray, above: float = 0.25) -> np.ndarray:
    """Measure how sharp images are by the share of their spectral energy that lies at high frequencies.

    The mean of each image is removed before, so that neither brightness nor contrast changes the share. Blur lowers it.
    Noise raises it, so that a noisy image passes for a sharp one: read it beside a Frechet distance (`judge.compare`).
    For the spectrum see `power_spectrum`.

    Args:
        images: (n, height, width, channels), in [0, 1], of 1 or 3 channels, 3 x 3 pixels or more.
        above: A frequency in cycles per pixel, in any direction: 0.25, half of what pixels can show along a row, is 7
            cycles per image of 28 x 28 pixels.

    Returns:
        The share for each image, (n,), from 0 to 1; 0 where the grey is even.

    Raises:
        ValueError: For what are no images, another number of channels, smaller images, and a frequency that is no
            number from 0 to below 0.5.
    """
    if not isinstance(above, Real) or not 0 <= above < 0.5:
        raise ValueError(
            f"above is {above!r}. Expected a frequency from 0 to below 0.5 cycles per pixel; divide cycles per image "
            "by the side."
        )
    frequencies, power = _spectrum(images)
    energy = power.sum(axis=(1, 2))
    return power[:, frequencies > above].sum(axis=1) / np.maximum(energy, EVEN * frequencies.size)


def power_spectrum(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average the power spectrum of each image over all directions.

    It is that of a cosine transform, which takes an image for mirrored at its edges (Denis et al. 2002). A Fourier
    transform takes opposite edges for neighbours: the step from one to the other, which no blur removes, then counts
    as fine detail. A grating whose stripes do not end at the edges with a crest or a trough spreads a little beyond its
    frequency. White noise of variance v has the power v at all frequencies. For the share of all power above a
    frequency see `high_frequency_share`.

    Args:
        images: (n, height, width, channels), in [0, 1], of 1 or 3 channels, 3 x 3 pixels or more.

    Returns:
        The frequencies in cycles per pixel, (rings,): k / (2 s) for k = 1 ... s - 1, where s is the longer side, and
        the mean power of each image, mean removed, in a ring around each frequency, (n, rings).

    Raises:
        ValueError: For what are no images, another number of channels, and smaller images.
    """
    frequencies, power = _spectrum(images)
    longer = max(frequencies.shape)
    nearest = np.rint(2 * longer * frequencies)
    rings = np.arange(1, longer)
    return rings / (2 * longer), np.stack([power[:, nearest == ring].mean(axis=1) for ring in rings], axis=1)


def unsharp_mask(images: np.ndarray, amount: float = 1.0, width: float = 1.0) -> np.ndarray:
    """Sharpen images: move each pixel away from the mean of those around it.

    x + amount * (x - blurred x), with a Gaussian blur. What a decoder has blurred becomes sharper, and knows no more:
    it shows what a measure of sharpness is worth, and what a second network has to beat.

    Args:
        images: (n, height, width, channels), in [0, 1].
        amount: How far the pixels move, 0 or more.
        width: The standard deviation of the blur, in pixels, above 0.

    Returns:
        Images of the same shape, in float32, cut off at 0 and 1.

    Raises:
        ValueError: For what are no images, an amount below 0, and a width that is not above 0.
    """
    check_images(images)
    if not isinstance(amount, Real) or not 0 <= amount < np.inf:
        raise ValueError(f"amount is {amount!r}. Expected a number, 0 or more: 0 changes nothing.")
    if not isinstance(width, Real) or not 0 < width < np.inf:
        raise ValueError(f"width is {width!r}. Expected the standard deviation of a blur, in pixels, above 0.")
    images = np.asarray(images, "float32")
    blurred = gaussian_filter(images, (0, width, width, 0))
    return (images + amount * (images - blurred)).clip(0, 1)


def _spectrum(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # The frequency in cycles per pixel of each coefficient, (height, width), and the power of each image there.
    grey = _grey(images)
    power = np.square(dctn(grey - grey.mean(axis=(1, 2), keepdims=True), axes=(1, 2), norm="ortho"))
    down, across = (np.arange(side) / (2 * side) for side in grey.shape[1:])
    return np.hypot(down[:, np.newaxis], across), power


def _grey(images: np.ndarray) -> np.ndarray:
    check_images(images)
    _, height, width, channels = np.shape(images)
    if channels not in (1, 3) or min(height, width) < SMALLEST:
        raise ValueError(
            f"images have shape {np.shape(images)}. Expected 1 or 3 channels, and {SMALLEST} x {SMALLEST} pixels or "
            "more."
        )
    images = np.asarray(images, "float64")
    return images[..., 0] if channels == 1 else images @ GREY
