"""How probable a VAE makes an image, in nats: bounds on log p(x), and for one or two latents log p(x) and p(z|x)."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import NamedTuple

import keras
import numpy as np
from keras import ops
from scipy import ndimage, optimize
from tqdm.auto import tqdm

from vae_keras import data, losses
from vae_keras.vae import VAE

# Pixels that are decoded at a time: 4,000 pictures of 28 x 28, which take 12.5 MB. No layer of the decoder gives more
# either: the system hands out larger pieces of memory anew each time, which took half the time of convolutions.
DECODED_AT_A_TIME = 4000 * 28 * 28
# The grid of one or two latents: it begins with so many points from -5 to 5 along each axis, and ends with at most so
# many. Two latents need 1,025 x 1,025 where a posterior has a standard deviation of 0.01.
FIRST_POINTS = {1: 1_025, 2: 257}
MOST_POINTS = {1: 16_385, 2: 1_025}
SMALLEST_REACH, LARGEST_REACH = 5.0, 100.0
# The share of the mass of a posterior that may lie on the edge of the grid.
NEGLIGIBLE = 1e-6
# Values of log p(x, z) that are held at a time, in float64 64 MB, and the most that `posterior` returns, 1 GB.
VALUES_AT_A_TIME = 2**23
MOST_DENSITIES = 2**28


def elbo(
    vae: VAE,
    images: np.ndarray,
    samples: int = 1,
    seed: int = 0,
    log_likelihood: Callable | None = None,
    progress: bool = True,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Estimate the evidence lower bound of each image: a lower bound on log p(x).

    E[log p(x|z)] - KL(q(z|x) || p(z)), z ~ q(z|x) (Kingma and Welling 2014, equation 3). The expectation is the mean
    over draws of z, the KL term is exact. The weights of the loss, such as `beta`, play no part in it.

    Args:
        vae: A VAE, trained or not; of a `ConditionalVAE` with labels it is a lower bound on log p(x|y).
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`.
        samples: Draws of z for each image. More lessen the noise and leave the expected value alone.
        seed: The same seed draws the same noise.
        log_likelihood: `log_likelihood(images, reconstruction)` gives log p(x|z), (n,), in nats. By default it is the
            attribute `log_likelihood` of the VAE's reconstruction loss.
        progress: Whether to show a bar.
        labels: For a `ConditionalVAE` the class of each image, (n,).

    Returns:
        Nats per image, (n,), in float64.

    Raises:
        ValueError: For a model that is no VAE, labels that are missing or out of place, no samples, grey images
            under `losses.bernoulli`, whose cross-entropy is no likelihood, a reconstruction loss of which no
            log-likelihood is known, and a `log_likelihood` that does not give one number for each image.
    """
    images, log_likelihood = _checked(vae, images, samples, log_likelihood, labels=labels)
    total = np.zeros(len(images))
    for rows, log_p_x_given_z, _ in _draws(vae, images, samples, seed, log_likelihood, progress, "ELBO", labels):
        total[rows] += log_p_x_given_z.sum(axis=1)
    z_mean, z_log_var, _ = vae.encoder.predict(_and_labels(images, labels), verbose=0)
    return total / samples - ops.convert_to_numpy(losses.kl_divergence(z_mean, z_log_var))


def importance_weighted_bound(
    vae: VAE,
    images: np.ndarray,
    samples: int = 5000,
    seed: int = 0,
    log_likelihood: Callable | None = None,
    progress: bool = True,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Estimate log p(x) of each image from below: log 1/k sum p(x, z) / q(z|x), k draws of z.

    Burda et al. 2016, equation 8. With one sample its expected value is the ELBO, and with more samples the expected
    value never falls and tends to log p(x).

    Args:
        vae: A VAE, trained or not; of a `ConditionalVAE` with labels it is a bound on log p(x|y).
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`.
        samples: Draws of z for each image, k. Memory does not grow with them.
        seed: The same seed draws the same noise.
        log_likelihood: `log_likelihood(images, reconstruction)` gives log p(x|z), (n,), in nats. By default it is the
            attribute `log_likelihood` of the VAE's reconstruction loss.
        progress: Whether to show a bar.
        labels: For a `ConditionalVAE` the class of each image, (n,).

    Returns:
        Nats per image, (n,), in float64.

    Raises:
        ValueError: For a model that is no VAE, labels that are missing or out of place, no samples, grey images
            under `losses.bernoulli`, whose cross-entropy is no likelihood, a reconstruction loss of which no
            log-likelihood is known, and a `log_likelihood` that does not give one number for each image.
    """
    images, log_likelihood = _checked(vae, images, samples, log_likelihood, labels=labels)
    log_sum = np.full(len(images), -np.inf)
    draws = _draws(vae, images, samples, seed, log_likelihood, progress, "bound", labels)
    for rows, log_p_x_given_z, log_p_z_over_q in draws:
        log_sum[rows] = np.logaddexp(log_sum[rows], np.logaddexp.reduce(log_p_x_given_z + log_p_z_over_q, axis=1))
    return log_sum - math.log(samples)


class Posterior(NamedTuple):
    """The posteriors p(z|x) of some images on a grid over one or two latents, as `posterior` gives them.

    Attributes:
        axis: The values of each latent on the grid, (points,), evenly spaced around 0.
        log_density: log p(z|x), (n, points) for one latent, and for two (n, points, points), rows along the second, in
            float32. The densities, times the volume of a cell of the grid, sum to 1.
        log_likelihood: log p(x) in nats, (n,).
        error: By how many nats every second point of each axis would change that, (n,): far more than the error of all.
    """

    axis: np.ndarray
    log_density: np.ndarray
    log_likelihood: np.ndarray
    error: np.ndarray

    @property
    def density(self) -> np.ndarray:
        """The densities p(z|x), of the shape of `log_density`."""
        return np.exp(self.log_density)

    def kl_divergence(self, z_mean: np.ndarray, z_log_var: np.ndarray) -> np.ndarray:
        """Compute KL(q || p(z|x)) of a normal distribution q for each image, as a sum over the grid.

        For the q of the encoder it is log p(x) - ELBO.

        Args:
            z_mean: The means of q, (n, latent_dim).
            z_log_var: The logarithms of its variances, (n, latent_dim).

        Returns:
            Nats per image, (n,), in float64.

        Raises:
            ValueError: For other shapes, and for a q that lies beside the grid or between its points.
        """
        n, latent_dim = len(self.log_density), self.log_density.ndim - 1
        z_mean, z_log_var = np.asarray(z_mean, "float64"), np.asarray(z_log_var, "float64")
        if z_mean.shape != (n, latent_dim) or z_log_var.shape != (n, latent_dim):
            raise ValueError(
                f"z_mean has shape {z_mean.shape} and z_log_var {z_log_var.shape}. Expected ({n}, {latent_dim}): a "
                "normal distribution for each image."
            )
        spacing = self.axis[1] - self.axis[0]
        # (n, latent_dim, points)
        deviations = (self.axis - z_mean[..., None]) / np.exp(z_log_var / 2)[..., None]
        log_q = -0.5 * (deviations**2 + z_log_var[..., None] + math.log(2 * math.pi))
        divergence = np.empty(n)
        for row, log_density in enumerate(self.log_density):
            log_q_z = log_q[row, 0] if latent_dim == 1 else log_q[row, 1][:, None] + log_q[row, 0]
            shares = np.exp(log_q_z) * spacing**latent_dim
            if abs(shares.sum() - 1) > 1e-3:
                raise ValueError(
                    f"q of image {row} has mean {z_mean[row]} and standard deviation {np.exp(z_log_var[row] / 2)}, and "
                    f"sums to {shares.sum():.4f} on a grid from {self.axis[0]:g} to {self.axis[-1]:g} in steps of "
                    f"{spacing:.2g}. Expected 1: a q on the grid and no narrower than a step."
                )
            divergence[row] = np.sum(shares * (log_q_z - log_density))
        return divergence

    def closest_normal(self) -> tuple[np.ndarray, np.ndarray]:
        """Find for each image the normal distribution q, without correlations, of the least KL(q || p(z|x)).

        What it leaves is the approximation gap; what the encoder's q leaves beyond that is the amortisation gap (Cremer
        et al. 2018, section 3). There may be several minima: L-BFGS searches from the mean of the posterior and from
        its mode, and the lower end is kept.

        Returns:
            z_mean and z_log_var, each (n, latent_dim), in float64.
        """
        n, latent_dim = len(self.log_density), self.log_density.ndim - 1
        step = self.axis[1] - self.axis[0]
        epsilon, weights = _nodes(8, latent_dim)
        z_mean, z_log_var = np.empty((n, latent_dim)), np.empty((n, latent_dim))
        for row, log_density in enumerate(self.log_density):
            # What lies 50 nats below the mode plays no part. The first latent runs along the last axis.
            inside = np.argwhere(log_density > log_density.max() - 50)
            first = np.maximum(inside.min(axis=0) - 3, 0)
            window = tuple(map(slice, first, inside.max(axis=0) + 4))
            log_p = log_density[window].astype("float64")
            spline = ndimage.spline_filter(log_p)

            def divergence(parameters: np.ndarray, spline: np.ndarray = spline) -> float:
                # In steps of the window, and up to a constant: the mean over q of a cubic spline of log p(z|x).
                mean, log_sigma = parameters[:latent_dim, None], parameters[latent_dim:, None]
                places = mean + np.exp(log_sigma) * epsilon.T
                return (
                    -weights @ ndimage.map_coordinates(spline, places, mode="nearest", prefilter=False)
                    - log_sigma.sum()
                )

            shares = np.exp(log_p - log_p.max()) / np.exp(log_p - log_p.max()).sum()
            places = np.indices(shares.shape).reshape(latent_dim, -1)
            mean = places @ shares.ravel()
            # A posterior may lie on a single point of the grid. And beyond the window log p would be level, so that an
            # ever wider q would seem ever better.
            log_sigma = np.log(np.maximum(places**2 @ shares.ravel() - mean**2, 0.1)) / 2
            bounds = [(0, size - 1) for size in log_p.shape] + [(-3, math.log(size)) for size in log_p.shape]
            mode = np.array(np.unravel_index(log_p.argmax(), log_p.shape))
            ends = [
                optimize.minimize(divergence, np.concatenate([start, log_sigma]), method="L-BFGS-B", bounds=bounds)
                for start in (mean, mode)
            ]
            best = min(ends, key=lambda end: end.fun).x
            z_mean[row] = (self.axis[0] + step * (first + best[:latent_dim]))[::-1]
            z_log_var[row] = 2 * (best[latent_dim:] + math.log(step))[::-1]
        return z_mean, z_log_var


def posterior(
    vae: VAE,
    images: np.ndarray,
    tolerance: float = 0.03,
    log_likelihood: Callable | None = None,
    progress: bool = True,
) -> Posterior:
    """Compute log p(x) and the posterior p(z|x) = p(x|z) p(z) / p(x) of a VAE with one or two latents, on a grid.

    The grid is as that of `exact_log_likelihood`, one for all images, and fine enough for the encoder's q(z|x) too: a
    step is no longer than its smallest standard deviation, if the largest number of points allows.

    Args:
        vae: A VAE of one or two latents, trained or not.
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`. Not too many: each takes up to
            4 MB.
        tolerance: The grid becomes finer until `error` is below so many nats for every image.
        log_likelihood: As for `importance_weighted_bound`.
        progress: Whether to show a bar.

    Returns:
        The grid, log p(z|x) on it, log p(x) and an estimate of its error.

    Raises:
        ValueError: As `exact_log_likelihood`, and for so many images that their densities would take more than 1 GB.
    """
    images, log_likelihood = _checked(vae, images, 1, log_likelihood)
    log_p, error, axis, log_joint = _integrate(vae, images, tolerance, log_likelihood, True, progress)
    log_joint -= log_p[:, None]
    shape = len(images), *[len(axis)] * vae.decoder.inputs[0].shape[-1]
    return Posterior(axis, log_joint.reshape(shape), log_p, error)


def exact_log_likelihood(
    vae: VAE,
    images: np.ndarray,
    tolerance: float = 0.03,
    log_likelihood: Callable | None = None,
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute log p(x) of a VAE with one or two latents: the integral of p(x|z) p(z) as a sum over a grid.

    The grid reaches from -5 to 5 along each latent, or as far as the encoder's distributions do. It becomes wider until
    its edge holds less than a millionth of each posterior, and finer until `tolerance` is met or it has 1,025 points
    along each of two latents (16,385 along one); only the images that need it go on.

    Args:
        vae: A VAE of one or two latents, trained or not.
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`, for which one matrix product
            serves all images; under another log-likelihood each takes much longer.
        tolerance: The grid becomes finer until the estimate of the error is below so many nats.
        log_likelihood: As for `importance_weighted_bound`.
        progress: Whether to show a bar.

    Returns:
        log p(x) in nats and an estimate of its error, each (n,), in float64: by how much every second point of each
        axis would change it, which is the error of those points and far more than the error of all.

    Raises:
        ValueError: For more than two latents, a posterior that reaches out of the widest grid, an encoder whose outputs
            are not finite, a tolerance that is not positive, and as `importance_weighted_bound` does.
    """
    images, log_likelihood = _checked(vae, images, 1, log_likelihood)
    log_p, error, _, _ = _integrate(vae, images, tolerance, log_likelihood, False, progress)
    return log_p, error


def exact_elbo(
    vae: VAE,
    images: np.ndarray,
    q: tuple[np.ndarray, np.ndarray] | None = None,
    nodes: int = 20,
    log_likelihood: Callable | None = None,
) -> np.ndarray:
    """Compute the ELBO of a VAE with one or two latents without noise: the mean over q by Gauss-Hermite quadrature.

    Args:
        vae: A VAE of one or two latents, trained or not.
        images: (n, height, width, channels), in [0, 1]; 0 or 1 under `losses.bernoulli`.
        q: z_mean and z_log_var, each (n, latent_dim), of normal distributions that take the place of the encoder's.
        nodes: Points along each latent. With n of them, log p(x|z) may be a polynomial of degree 2n - 1 in z.
        log_likelihood: As for `importance_weighted_bound`.

    Returns:
        Nats per image, (n,), in float64.

    Raises:
        ValueError: For more than two latents, a q of other shapes, an encoder whose outputs are not finite, and as
            `elbo` does.
    """
    images, log_likelihood = _checked(vae, images, nodes, log_likelihood, "nodes")
    encoded = _encoded_plane(vae, images)
    z_mean, z_log_var = encoded if q is None else (np.asarray(part, "float32") for part in q)
    if z_mean.shape != encoded[0].shape or z_log_var.shape != encoded[0].shape:
        raise ValueError(
            f"q has means of shape {z_mean.shape} and logarithms of variances of shape {z_log_var.shape}. Expected "
            f"{encoded[0].shape} for both."
        )
    latent_dim = z_mean.shape[1]
    epsilon, weights = _nodes(nodes, latent_dim)
    result = np.empty(len(images))
    for rows in _pieces(len(images), DECODED_AT_A_TIME // (images[0].size * len(epsilon))):
        z = z_mean[rows, None] + np.exp(z_log_var[rows, None] / 2) * epsilon
        reconstruction = _decoded(vae.decoder, z.reshape(-1, latent_dim).astype("float32"))
        repeated = np.repeat(images[rows], len(epsilon), axis=0)
        log_p_x_given_z = _per_image(log_likelihood, repeated, reconstruction)
        result[rows] = log_p_x_given_z.reshape(-1, len(epsilon)) @ weights
    return result - ops.convert_to_numpy(losses.kl_divergence(z_mean, z_log_var))


def _checked(vae, images, samples, log_likelihood, name="samples", labels=None):
    # The images as an array, and the log-likelihood that belongs to the loss where none is given.
    if not isinstance(vae, VAE):
        raise ValueError(
            f"The model is of type {type(vae).__name__}. Expected a VAE: an autoencoder names no distribution of z, "
            "and so has no likelihood."
        )
    if vae.classes is not None and labels is None:
        raise ValueError(
            "The model is a ConditionalVAE, but labels are missing. Expected the class of each image, which elbo and "
            "importance_weighted_bound take for their bound on log p(x|y)."
        )
    if vae.classes is None and labels is not None:
        raise ValueError(f"labels are given, but the model, a {type(vae).__name__}, takes none. Leave them out.")
    if not isinstance(samples, Integral) or samples < 1:
        raise ValueError(f"{name} is {samples!r}. Expected 1 or more values of z for each image, a whole number.")
    data.check_images(images, labels)
    if labels is not None:
        data.check_labels(labels, vae.classes)
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


def _and_labels(first, labels):
    # What a network takes: images or z, and labels where there are some.
    return first if labels is None else [first, ops.convert_to_tensor(labels)]


def _decoded(decoder, z, labels=None):
    # Images (n, height, width, channels), in parts of which no layer gives too much at a time.
    largest = max(math.prod(layer.output.shape[1:]) for layer in decoder.layers)
    parts = [
        decoder(_and_labels(z[part], None if labels is None else labels[part]), training=False)
        for part in _pieces(len(z), DECODED_AT_A_TIME // largest)
    ]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts)


def _draws(vae, images, samples, seed, log_likelihood, progress, name, labels=None):
    # Yield, for some images and draws of z at a time, the images' rows, log p(x|z) and log p(z) - log q(z|x), both of
    # shape (rows, draws), in float64.
    all_z_mean, all_z_log_var, _ = vae.encoder.predict(_and_labels(images, labels), verbose=0)
    noise = keras.random.SeedGenerator(seed)
    pictures = max(1, DECODED_AT_A_TIME // math.prod(images.shape[1:]))
    draws_at_a_time = min(samples, pictures)
    rows_at_a_time = pictures // draws_at_a_time
    with tqdm(total=len(images) * samples, desc=name, unit="draw", unit_scale=True, disable=not progress) as bar:
        for first in range(0, len(images), rows_at_a_time):
            rows = slice(first, first + rows_at_a_time)
            x = images[rows]
            # PyTorch adds no arrays to tensors.
            z_mean, z_log_var = (ops.convert_to_tensor(part[rows, None]) for part in (all_z_mean, all_z_log_var))
            for done in range(0, samples, draws_at_a_time):
                shape = len(x), min(draws_at_a_time, samples - done), z_mean.shape[-1]
                epsilon = keras.random.normal(shape, seed=noise)
                z = z_mean + ops.exp(z_log_var / 2) * epsilon
                repeated = None if labels is None else ops.repeat(labels[rows], shape[1])
                reconstruction = _decoded(vae.decoder, ops.reshape(z, (-1, shape[-1])), repeated)
                log_p_x_given_z = _per_image(log_likelihood, ops.repeat(x, shape[1], axis=0), reconstruction)
                # The constants of the two normal distributions cancel.
                log_p_z_over_q = 0.5 * ops.sum(ops.square(epsilon) + z_log_var - ops.square(z), axis=-1)
                log_p_z_over_q = ops.convert_to_numpy(log_p_z_over_q).astype("float64")
                yield rows, log_p_x_given_z.reshape(shape[:2]), log_p_z_over_q
                bar.update(shape[0] * shape[1])


def _per_image(log_likelihood, images, reconstruction):
    # log p(x|z) in float64, (n,).
    log_p_x_given_z = log_likelihood(images, reconstruction)
    shape = tuple(np.shape(log_p_x_given_z))
    if shape != (len(images),):
        raise ValueError(
            f"log_likelihood gives shape {shape} for {len(images)} images. Expected nats per "
            "image, (n,): a sum over height, width and channels."
        )
    return ops.convert_to_numpy(log_p_x_given_z).astype("float64")


def _pieces(count, size):
    size = max(1, size)
    return [slice(first, first + size) for first in range(0, count, size)]


def _grid(axis, latent_dim):
    # All points (points ** latent_dim, latent_dim) of the grid, the first latent the fastest.
    return np.stack(np.meshgrid(*[axis] * latent_dim), axis=-1).reshape(-1, latent_dim)


def _nodes(count, latent_dim):
    # Nodes (count ** latent_dim, latent_dim) and weights of Gauss-Hermite quadrature over N(0, I).
    roots, weights = np.polynomial.hermite_e.hermegauss(count)
    return _grid(roots, latent_dim), _grid(weights / weights.sum(), latent_dim).prod(axis=1)


def _encoded_plane(vae, images):
    z_mean, z_log_var, _ = vae.encoder.predict(images, verbose=0)
    latent_dim = z_mean.shape[1]
    if latent_dim not in FIRST_POINTS:
        raise ValueError(
            f"The VAE has {latent_dim} latents. Expected one or two, for a grid over more has too many points; "
            "importance_weighted_bound takes any number."
        )
    if not np.isfinite([z_mean, z_log_var]).all():
        raise ValueError("The encoder gives NaN or infinity. Expected finite numbers; has the training diverged?")
    return z_mean, z_log_var


def _integrate(vae, images, tolerance, log_likelihood, keep, progress):
    # log p(x), the estimate of its error, the last axis, and, to keep, log p(x, z) on its grid.
    if not isinstance(tolerance, Real) or not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance is {tolerance!r}. Expected a positive number of nats.")
    z_mean, z_log_var = _encoded_plane(vae, images)
    latent_dim = z_mean.shape[1]
    half = MOST_POINTS[latent_dim] // 2
    # A q wider than the prior need not be on the grid as a whole: the posterior is not as wide.
    reach = float(np.max(np.abs(z_mean) + 4 * np.exp(np.minimum(z_log_var, 0) / 2)))
    reach = min(max(reach, SMALLEST_REACH), LARGEST_REACH)
    step = 2 * SMALLEST_REACH / (FIRST_POINTS[latent_dim] - 1)
    if keep:
        step = min(step, float(np.exp(z_log_var.min() / 2)))
    log_p, error = np.empty(len(images)), np.empty(len(images))
    left, kept = np.arange(len(images)), None
    while True:
        step = max(step, reach / half)
        # An even number of steps on each side: every second point then has both ends.
        steps = min(2 * math.ceil(reach / step / 2), half)
        axis = step * np.arange(-steps, steps + 1)
        if keep:
            kept = _empty(len(images), len(axis), latent_dim)
        parts = _log_joint(vae, images[left], axis, latent_dim, log_likelihood, progress)
        every, second, edge = _log_sums(parts, len(left), axis, latent_dim, kept)
        outside = edge - every > math.log(NEGLIGIBLE)
        if outside.any():
            if reach == LARGEST_REACH:
                raise ValueError(
                    f"The posterior of image {left[outside.argmax()]} reaches beyond |z| = {LARGEST_REACH:g}. Expected "
                    "one near the prior N(0, 1); has the training diverged, or log_likelihood a wrong scale?"
                )
            reach = min(1.5 * reach, LARGEST_REACH)
            continue
        log_p[left], error[left] = every, np.abs(every - second)
        if np.all(error <= tolerance) or steps == half:
            return log_p, error, axis, kept
        if not keep:
            left = left[error[left] > tolerance]
        step /= 2


def _empty(count, points, latent_dim):
    if count * points**latent_dim > MOST_DENSITIES:
        raise ValueError(
            f"{count} images are given. Expected {MOST_DENSITIES // points**latent_dim} or fewer, whose densities on "
            f"{points} points along each latent take 1 GB: give some at a time, or take exact_log_likelihood, which "
            "keeps no density."
        )
    return np.empty((count, points**latent_dim), "float32")


def _log_joint(vae, images, axis, latent_dim, log_likelihood, progress):
    # Yield log p(x, z) in float32, (n, some), for some points of the grid at a time, and which these are.
    z = _grid(axis, latent_dim).astype("float32")
    log_p_z = -0.5 * (z**2).sum(axis=1) - latent_dim / 2 * np.float32(math.log(2 * math.pi))
    flat = images.reshape(len(images), -1).astype("float32")
    of_bernoulli = log_likelihood is losses.bernoulli.log_likelihood
    if of_bernoulli:
        log_likelihood(images, images)  # which refuses grey images
    name = " x ".join([str(len(axis))] * latent_dim)
    with tqdm(total=len(z), desc=f"grid of {name}", unit="point", unit_scale=True, disable=not progress) as bar:
        for points in _pieces(len(z), min(DECODED_AT_A_TIME // flat.shape[1], VALUES_AT_A_TIME // len(images))):
            decoded = _decoded(vae.decoder, z[points])
            if of_bernoulli:
                # It is linear in x, so that one matrix product serves all images.
                p = np.float32(ops.convert_to_numpy(decoded)).reshape(-1, flat.shape[1])
                p = np.clip(p, losses.PROBABILITY_MARGIN, 1 - losses.PROBABILITY_MARGIN)
                log_1_minus_p = np.log(1 - p)
                part = flat @ (np.log(p) - log_1_minus_p).T + log_1_minus_p.sum(axis=1)
            else:
                part = np.stack(
                    [_per_image(log_likelihood, np.broadcast_to(x, decoded.shape), decoded) for x in images]
                )
            yield points, np.float32(part + log_p_z[points])
            bar.update(len(decoded))


def _log_sums(parts, count, axis, latent_dim, kept=None):
    # The logarithms of three sums over the grid, each (count,): of all points, of every second one along each axis,
    # which stands for more, and of the edge. The parts are written to `kept`.
    place = _grid(np.arange(len(axis)), latent_dim)
    second = (place % 2 == 0).all(axis=1) * 2**latent_dim
    edge = ((place == 0) | (place == len(axis) - 1)).any(axis=1)
    weights = np.stack([np.ones(len(place)), second, edge], axis=1).astype("float32")
    largest, sums = np.full(count, -1e30), np.zeros((count, 3))
    for points, part in parts:
        if kept is not None:
            kept[:, points] = part
        before, largest = largest, np.maximum(largest, part.max(axis=1))
        terms = np.exp(part - largest[:, None].astype("float32"))
        sums = sums * np.exp(before - largest)[:, None] + terms @ weights[points]
    with np.errstate(divide="ignore"):
        return largest + np.log(sums.T) + latent_dim * math.log(axis[1] - axis[0])
