"""The terms of the loss, each in nats for every image: sums over pixels or latents, shape (n,).

The mean over the batch is left to the caller, because a metric over a whole data set needs one value per image. Beside
each reconstruction loss stands the log-likelihood log p(x|z) that belongs to it, as its attribute `log_likelihood`.
"""

import math
from numbers import Real
from typing import Any

import keras
from keras import ops

# Probabilities are kept this far from 0 and 1, so that a logarithm is never infinite: at most 16.1 nats a pixel.
PROBABILITY_MARGIN = 1e-7
# Above this log variance the KL term goes on linearly. exp(89) does not fit into float32, and the squares of gradients,
# which Adam and clipping by norm take, do not from about half of that.
LARGEST_LOG_VAR = 20.0


@keras.saving.register_keras_serializable(package="vae_keras")
def bernoulli(images: Any, reconstruction: Any) -> Any:
    """Binary cross-entropy summed over pixels: -sum x log p + (1 - x) log(1 - p).

    For black and white images it is the negative Bernoulli log-likelihood (Kingma and Welling 2014, appendix C.1). For
    grey images it is not a likelihood and does not reach 0: its floor is the entropy of the pixels,
    `bernoulli(images, images)`.

    Args:
        images: (n, height, width, channels), in [0, 1].
        reconstruction: The same shape, probabilities.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    x, p = _of_one_shape(images, reconstruction)
    p = ops.clip(p, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return -_sum_per_image(x * ops.log(p) + (1 - x) * ops.log(1 - p))


def bernoulli_log_likelihood(images: Any, reconstruction: Any) -> Any:
    """Compute log p(x|z) of black and white pixels: the negative of `bernoulli`.

    Args:
        images: (n, height, width, channels), 0 or 1.
        reconstruction: The same shape, probabilities.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For grey images, whose cross-entropy is no log-likelihood, and for two different shapes.
    """
    x = ops.cast(images, "float32")
    if ops.any((x != 0) & (x != 1)):
        raise ValueError(
            "images hold grey pixels, and the cross-entropy of a grey pixel is no log-likelihood. Expected pixels of 0 "
            "and 1: draw them with data.binarise(images, seed=0)."
        )
    return -bernoulli(images, reconstruction)


@keras.saving.register_keras_serializable(package="vae_keras")
def gaussian(images: Any, reconstruction: Any) -> Any:
    """Squared error summed over pixels: sum (x - x')^2.

    It is the negative log-likelihood of a Gaussian with sigma^2 = 1/2 around the reconstruction, less its constant of
    log(pi) / 2 per pixel. A mean over pixels instead of the sum would give the KL term too large a weight.

    Args:
        images: (n, height, width, channels).
        reconstruction: The same shape.

    Returns:
        Nats per image up to that constant, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    x, mean = _of_one_shape(images, reconstruction)
    return _sum_per_image(ops.square(x - mean))


def gaussian_log_likelihood(images: Any, reconstruction: Any) -> Any:
    """Compute log p(x|z) of a Gaussian with sigma^2 = 1/2: the negative of `gaussian`, with its constant.

    Args:
        images: (n, height, width, channels).
        reconstruction: The same shape.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    pixels = math.prod(ops.shape(images)[1:])
    return -gaussian(images, reconstruction) - math.log(math.pi) / 2 * pixels


bernoulli.log_likelihood = bernoulli_log_likelihood
gaussian.log_likelihood = gaussian_log_likelihood


@keras.saving.register_keras_serializable(package="vae_keras")
class LearnedGaussian(keras.layers.Layer):
    """Negative log-likelihood of a Gaussian around the reconstruction, whose sigma is learned, in nats.

    Sum over pixels of (x - x')^2 / (2 sigma^2) + log sigma + log(2 pi) / 2, with one sigma for all pixels: a weight
    that `fit` trains with the others. For a given mean squared error per pixel the best sigma is its root (Rybkin et
    al. 2021, equation 5). It takes images and reconstruction, (n, height, width, channels), and returns nats per image,
    (n,).

    Args:
        sigma: The value that it begins with, by default that of `gaussian`.
        **kwargs: What `keras.layers.Layer` takes, such as `name`.

    Raises:
        ValueError: For a sigma that is not positive and finite; when called, for two different shapes.

    Example:
        >>> vae = VAE(encoder, decoder, reconstruction_loss=losses.LearnedGaussian())
        >>> vae.compile("adam")
        >>> vae.fit(images.x_train, epochs=30)
        >>> vae.reconstruction_loss.sigma
    """

    def __init__(self, sigma: float = 0.5**0.5, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not isinstance(sigma, Real) or not 0 < sigma < math.inf:
            raise ValueError(f"sigma is {sigma!r}. Expected a positive number, the standard deviation of a pixel.")
        self.log_sigma = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(math.log(sigma)), name="log_sigma"
        )

    @property
    def sigma(self) -> float:
        """The standard deviation of a pixel around its reconstruction."""
        return math.exp(float(self.log_sigma))

    def call(self, images: Any, reconstruction: Any) -> Any:
        """Compute the negative log-likelihood, (n,), in nats per image."""
        x, mean = _of_one_shape(images, reconstruction)
        precision = ops.exp(-2 * self.log_sigma)
        return _sum_per_image(0.5 * precision * ops.square(x - mean) + self.log_sigma + 0.5 * math.log(2 * math.pi))

    def log_likelihood(self, images: Any, reconstruction: Any) -> Any:
        """Compute log p(x|z), (n,), in nats per image: the negative of the loss."""
        return -self(images, reconstruction)

    def get_config(self) -> dict:
        """Name the sigma, so that the loss can be saved."""
        return {**super().get_config(), "sigma": self.sigma}


def kl_divergence(z_mean: Any, z_log_var: Any) -> Any:
    """Compute KL(N(z_mean, exp(z_log_var)) || N(0, 1)), summed over latents.

    1/2 sum (exp(z_log_var) + z_mean^2 - 1 - z_log_var): Kingma and Welling 2014, appendix B. Exact up to
    z_log_var = 20, a standard deviation of 22,026; finite and rising beyond.

    Args:
        z_mean: Means, (n, latent_dim).
        z_log_var: Logarithms of the variances, (n, latent_dim).

    Returns:
        Nats per image, (n,), in float32.
    """
    return _sum_per_image(kl_by_latent(z_mean, z_log_var))


def kl_by_latent(z_mean: Any, z_log_var: Any) -> Any:
    """Compute what each latent adds to `kl_divergence`.

    Args:
        z_mean: Means, (n, latent_dim).
        z_log_var: Logarithms of the variances, (n, latent_dim).

    Returns:
        Nats per image and latent, (n, latent_dim), in float32.
    """
    mean, log_var = ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")
    variance = ops.exp(ops.minimum(log_var, LARGEST_LOG_VAR)) * (1 + ops.maximum(log_var - LARGEST_LOG_VAR, 0))
    return 0.5 * (variance + ops.square(mean) - 1 - log_var)


def _of_one_shape(images, reconstruction):
    # Of unlike shapes one would be spread over the other's axes, and the sum would have too many terms.
    x, y = ops.cast(images, "float32"), ops.cast(reconstruction, "float32")
    shapes = tuple(x.shape), tuple(y.shape)
    # A batch whose length is not known yet is None.
    if len(shapes[0]) != len(shapes[1]) or any(a != b and None not in (a, b) for a, b in zip(*shapes)):
        raise ValueError(
            f"images have shape {shapes[0]} but reconstruction {shapes[1]}. Expected the same shape in both."
        )
    return x, y


def _sum_per_image(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))
