"""Pixels: bytes into numbers, grey into black and white, and noise."""

from numbers import Real

import numpy as np

from vae_keras.data.epochs import ShuffledEpochs
from vae_keras.data.images import check_images, check_whole


def to_images(pixels: np.ndarray) -> np.ndarray:
    """Turn pixels 0 ... 255 into images.

    Args:
        pixels: Whole numbers of shape (n, height, width) or (n, height, width, channels).

    Returns:
        Images in float32 and [0, 1], (n, height, width, channels).

    Raises:
        ValueError: For other shapes, for floats (divide them by their own largest value instead), and for whole numbers
            outside 0 ... 255.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim not in (3, 4):
        raise ValueError(
            f"pixels have shape {pixels.shape}. Expected (n, height, width) or (n, height, width, channels); "
            "use reshape((-1, height, width)) on flat rows."
        )
    if not np.issubdtype(pixels.dtype, np.integer):
        raise ValueError(
            f"pixels are of type {pixels.dtype}. Expected whole numbers from 0 to 255; scale other images to [0, 1] "
            "yourself, as float32, and add a channel axis with x[..., None]."
        )
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255):
        raise ValueError(f"pixels run from {pixels.min()} to {pixels.max()}. Expected whole numbers from 0 to 255.")
    images = pixels.astype("float32") / np.float32(255)
    return images if images.ndim == 4 else images[..., np.newaxis]


def binarise(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw ink or paper for each pixel, ink with the probability of its grey value.

    Drawn once, it gives a fixed binarisation (Larochelle and Murray 2011 hand out one of MNIST).

    Args:
        images: Grey images in [0, 1], (n, height, width, channels).
        seed: The same seed draws the same pixels.

    Returns:
        Images of 1 (ink) and 0 (paper) in float32, of the same shape.

    Raises:
        ValueError: For anything but images in [0, 1], and for a seed that is no whole number, 0 or more.
    """
    check_images(images)
    check_whole("seed", seed)
    return _draw_pixels(images, np.random.default_rng(seed))


def add_noise(images: np.ndarray, stddev: float, seed: int = 0) -> np.ndarray:
    """Add normal noise to every pixel. Nothing is cut off at 0 and 1.

    Args:
        images: Images in [0, 1], (n, height, width, channels).
        stddev: The standard deviation of the noise, 0 or more, in units of the largest pixel.
        seed: The same seed draws the same noise.

    Returns:
        Noisy images in float32, of the same shape.

    Raises:
        ValueError: For a negative `stddev`, anything but images in [0, 1], and a seed that is no whole number, 0 or
            more.
    """
    check_images(images)
    check_whole("seed", seed)
    if not isinstance(stddev, Real) or not 0 <= stddev < np.inf:
        raise ValueError(f"stddev is {stddev!r}. Expected a standard deviation, 0 or more, in units of a white pixel.")
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype="float32")
    return images + np.float32(stddev) * noise


class DynamicBinarisation(ShuffledEpochs):
    """Batches of black and white images for `fit`, drawn anew from the grey ones in every epoch, in a new order.

    Burda et al. 2016, section 5.1. A model that never sees the same picture twice overfits less. It gives
    ceil(n / batch_size) batches of shape (batch_size, height, width, channels), the last one what is left.

    Args:
        images: Grey images in [0, 1], (n, height, width, channels).
        batch_size: Images in a batch.
        seed: The same seed draws the same epochs, whatever the order in which batches are asked for.

    Raises:
        ValueError: For anything but images in [0, 1], a batch size that is no whole number above 0, and a seed that is
            no whole number, 0 or more.

    Example:
        >>> images = data.load("mnist_5k")
        >>> vae.fit(data.DynamicBinarisation(images.x_train, batch_size=64), epochs=20)
    """

    def __init__(self, images: np.ndarray, batch_size: int = 128, seed: int = 0):
        check_images(images)
        super().__init__(len(images), batch_size, shuffle=True, seed=seed)
        self.images = images

    def __getitem__(self, index: int) -> np.ndarray:
        return _draw_pixels(self.images[self.rows(index)], np.random.default_rng((self.seed, self.epoch, 1 + index)))


class PixelBatches(ShuffledEpochs):
    """Batches of images for `fit`, out of an array of pixels 0 ... 255 that need not fit into memory.

    Only the pixels of a batch are read and turned into float32: a memory-mapped file of any size trains in the same
    memory. It gives ceil(n / batch_size) batches of images (batch_size, height, width, channels), the last one what is
    left, and with `labels` of images and labels.

    Args:
        pixels: Whole numbers 0 ... 255, (n, height, width) or (n, height, width, channels), such as
            `np.load("pixels.npy", mmap_mode="r")`.
        labels: A label for each image, (n,), or None.
        batch_size: Images in a batch.
        shuffle: Whether every epoch has a new order. Without it the order is that of `pixels`.
        seed: The same seed draws the same epochs, whatever the order in which batches are asked for.

    Raises:
        ValueError: For pixels that are no whole numbers or of another shape, labels of another number, and sizes or a
            seed that are no whole numbers. A batch raises it for pixels outside 0 ... 255.

    Example:
        >>> pixels = np.load("pixels.npy", mmap_mode="r")
        >>> vae.fit(data.PixelBatches(pixels, batch_size=256), epochs=20)
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None = None,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int = 0,
    ):
        super().__init__(len(pixels), batch_size, shuffle, seed)
        # The whole array is never read: its first image shows its type and shape.
        to_images(pixels[:1])
        self.pixels = pixels
        self.labels = None if labels is None else np.asarray(labels)
        if not len(pixels) or (self.labels is not None and self.labels.shape != (len(pixels),)):
            shape = None if self.labels is None else self.labels.shape
            raise ValueError(
                f"There are {len(pixels)} images, and labels of shape {shape}. Expected one image or more, and a label "
                "for each, or None."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (height, width, channels)."""
        return to_images(self.pixels[:1]).shape[1:]

    def __getitem__(self, index: int) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        # In the order of the file, which a disk reads faster; the order within a batch plays no part.
        rows = np.sort(self.rows(index))
        images = to_images(self.pixels[rows])
        return images if self.labels is None else (images, self.labels[rows])


def _draw_pixels(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return (generator.random(images.shape, dtype="float32") < images).astype("float32")
