"""How probable a VAE makes an image: the ELBO and the importance-weighted bound on log p(x), in nats per image."""

import math
from collections.abc import Callable
from numbers import Integral

import keras
import numpy as np
from keras import ops
from tqdm.auto import tqdm

from vae_keras import data, losses
from vae_keras.vae import VAE

# Pixels that are decoded at a time: 4,000 pictures of 28 x 28, which take 12.5 MB.
DECODED_AT_A_TIME = 4000 * 28 * 28


def elbo(
    vae: VAE,
    images: np.ndarray,
    samples: int = 1,
    seed: int = 0,
    log_likelihood: Callable | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Estimate the evidence lower bound of each image: a lower bound on log p(x).

    E[log p(x|z)] - KL(q(z|x) || p(z)), z ~ q(z|x) (Kingma and Welling 2014, equation 3). The expectation is the mean
    over draws of z, the KL term is exact. The weights of the loss, such as `beta`, play no part in it.

    Args:
        vae: A VAE, trained or not.
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`.
        samples: Draws of z for each image. More lessen the noise and leave the expected value alone.
        seed: The same seed draws the same noise.
        log_likelihood: `log_likelihood(images, reconstruction)` gives log p(x|z), (n,), in nats. By default it is the
            attribute `log_likelihood` of the VAE's reconstruction loss.
        progress: Whether to show a bar.

    Returns:
        Nats per image, (n,), in float64.

    Raises:
        ValueError: For a model that is no VAE, for no samples, for grey images under `losses.bernoulli`, whose
            cross-entropy is no likelihood, for a reconstruction loss of which no log-likelihood is known, and for a
            `log_likelihood` that does not give one number for each image.
    """
    images, log_likelihood = _checked(vae, images, samples, log_likelihood)
    total = np.zeros(len(images))
    for rows, log_p_x_given_z, _ in _draws(vae, images, samples, seed, log_likelihood, progress, "ELBO"):
        total[rows] += log_p_x_given_z.sum(axis=1)
    z_mean, z_log_var, _ = vae.encoder.predict(images, verbose=0)
    return total / samples - ops.convert_to_numpy(losses.kl_divergence(z_mean, z_log_var))


def importance_weighted_bound(
    vae: VAE,
    images: np.ndarray,
    samples: int = 5000,
    seed: int = 0,
    log_likelihood: Callable | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Estimate log p(x) of each image from below: log 1/k sum p(x, z) / q(z|x), k draws of z.

    Burda et al. 2016, equation 8. With one sample its expected value is the ELBO, and with more samples the expected
    value never falls and tends to log p(x).

    Args:
        vae: A VAE, trained or not.
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`.
        samples: Draws of z for each image, k. Memory does not grow with them.
        seed: The same seed draws the same noise.
        log_likelihood: `log_likelihood(images, reconstruction)` gives log p(x|z), (n,), in nats. By default it is the
            attribute `log_likelihood` of the VAE's reconstruction loss.
        progress: Whether to show a bar.

    Returns:
        Nats per image, (n,), in float64.

    Raises:
        ValueError: For a model that is no VAE, for no samples, for grey images under `losses.bernoulli`, whose
            cross-entropy is no likelihood, for a reconstruction loss of which no log-likelihood is known, and for a
            `log_likelihood` that does not give one number for each image.
    """
    images, log_likelihood = _checked(vae, images, samples, log_likelihood)
    log_sum = np.full(len(images), -np.inf)
    for rows, log_p_x_given_z, log_p_z_over_q in _draws(vae, images, samples, seed, log_likelihood, progress, "bound"):
        log_sum[rows] = np.logaddexp(log_sum[rows], np.logaddexp.reduce(log_p_x_given_z + log_p_z_over_q, axis=1))
    return log_sum - math.log(samples)


def _checked(vae, images, samples, log_likelihood):
    # The images as an array, and the log-likelihood that belongs to the loss where none is given.
    if not isinstance(vae, VAE):
        raise ValueError(
            f"The model is of type {type(vae).__name__}. Expected a VAE: an autoencoder names no distribution of z, "
            "and so has no likelihood."
        )
    if not isinstance(samples, Integral) or samples < 1:
        raise ValueError(f"samples is {samples!r}. Expected 1 or more draws of z for each image, a whole number.")
    data.check_images(images)
    if log_likelihood is None:
        log_likelihood = getattr(vae.reconstruction_loss, "log_likelihood", None)
    if log_likelihood is None:
        raise ValueError(
            f"The reconstruction loss is {vae.reconstruction_loss!r}, of which the constant is not known. Expected one "
            "with an attribute log_likelihood, as losses.bernoulli, losses.gaussian and losses.LearnedGaussian have; "
            "for another pass log_likelihood(images, reconstruction)."
        )
    if not callable(log_likelihood):
        raise ValueError(
            f"log_likelihood is {log_likelihood!r}. Expected a function (images, reconstruction) -> log p(x|z) in nats "
            "per image, shape (n,)."
        )
    return np.asarray(images), log_likelihood


def _draws(vae, images, samples, seed, log_likelihood, progress, name):
    # Yield, for some images and draws of z at a time, the images' rows, log p(x|z) and log p(z) - log q(z|x), both of
    # shape (rows, draws), in float64.
    all_z_mean, all_z_log_var, _ = vae.encoder.predict(images, verbose=0)
    noise = keras.random.SeedGenerator(seed)
    pictures = max(1, DECODED_AT_A_TIME // math.prod(images.shape[1:]))
    draws_at_a_time = min(samples, pictures)
    rows_at_a_time = pictures // draws_at_a_time
    with tqdm(total=len(images) * samples, desc=name, unit="draw", unit_scale=True, disable=not progress) as bar:
        for first in range(0, len(images), rows_at_a_time):
            rows = slice(first, first + rows_at_a_time)
            x, z_mean, z_log_var = images[rows], all_z_mean[rows, None], all_z_log_var[rows, None]
            for done in range(0, samples, draws_at_a_time):
                shape = len(x), min(draws_at_a_time, samples - done), z_mean.shape[-1]
                epsilon = keras.random.normal(shape, seed=noise)
                z = z_mean + ops.exp(z_log_var / 2) * epsilon
                reconstruction = vae.decoder(ops.reshape(z, (-1, shape[-1])), training=False)
                log_p_x_given_z = log_likelihood(ops.repeat(x, shape[1], axis=0), reconstruction)
                if tuple(np.shape(log_p_x_given_z)) != (shape[0] * shape[1],):
                    raise ValueError(
                        f"log_likelihood gives shape {np.shape(log_p_x_given_z)} for {shape[0] * shape[1]} images. "
                        "Expected nats per image, (n,): a sum over height, width and channels."
                    )
                # The constants of the two normal distributions cancel.
                log_p_z_over_q = 0.5 * ops.sum(ops.square(epsilon) + z_log_var - ops.square(z), axis=-1)
                yield (
                    rows,
                    *(
                        ops.convert_to_numpy(ops.reshape(term, shape[:2])).astype("float64")
                        for term in (log_p_x_given_z, log_p_z_over_q)
                    ),
                )
                bar.update(shape[0] * shape[1])
