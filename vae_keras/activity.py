"""Activity: which latents carry information, and which hidden units are dead."""

from numbers import Real

import keras
import numpy as np

from vae_keras.networks import HIDDEN


def active_latents(z_mean: np.ndarray, threshold: float = 0.01) -> np.ndarray:
    """Say which latents carry information: those whose z_mean varies over the images.

    Burda et al. 2016, section 5.2.

    Args:
        z_mean: What an encoder gives for some images, (n, latent_dim), any number of latents.
        threshold: The variance above which a latent is active.

    Returns:
        True for each active latent, (latent_dim,).

    Raises:
        ValueError: For another shape, no images and NaN, and for a threshold that is no variance.
    """
    if np.ndim(z_mean) != 2 or np.size(z_mean) == 0 or not _finite(z_mean):
        raise ValueError(f"z_mean has shape {np.shape(z_mean)}. Expected (n, latent_dim), all finite; has it diverged?")
    if not isinstance(threshold, Real) or not threshold >= 0:
        raise ValueError(f"threshold is {threshold!r}. Expected a variance, 0 or more.")
    return np.var(z_mean, axis=0) > threshold


def dead_units(network: keras.Model, x: np.ndarray, share: float = 0.01) -> np.ndarray:
    """Say of every hidden unit of a network whether it is dead.

    Dead means that what the activation gives hardly depends on the input: its standard deviation over `x` is at most
    `share` of the median of its layer. Of a convolution a unit is a channel.

    Args:
        network: A network of `vae_keras.networks`, or another whose activations have names that begin with "hidden".
        x: Inputs, (n, ...): images for an encoder, latents for a decoder. Some thousand will do.
        share: A unit whose spread is at most so much of the median is dead.

    Returns:
        True for each dead unit, layer after layer, (units,).

    Raises:
        ValueError: For what is no network, for inputs of another shape than it takes and for NaN among them, and for a
            share that is none.
    """
    if not isinstance(share, Real) or not 0 <= share < 1:
        raise ValueError(f"share is {share!r}. Expected a number from 0 to less than 1.")
    if not isinstance(network, keras.Model) or not hasattr(network, "input_shape"):
        raise ValueError(f"network is {network!r}. Expected a functional Keras model, as vae_keras.networks makes.")
    if np.size(x) == 0 or np.shape(x)[1:] != tuple(network.input_shape[1:]) or not _finite(x):
        raise ValueError(
            f"x has shape {np.shape(x)}. Expected (n, ...) as {network.name} takes, {network.input_shape}, all finite."
        )
    hidden = [layer.output for layer in network.layers if layer.name.startswith(HIDDEN)]
    if not hidden:
        return np.zeros(0, bool)
    outputs = keras.Model(network.inputs, hidden).predict(np.asarray(x), batch_size=500, verbose=0)
    # Of one layer Keras gives an array, of more a list.
    outputs = [outputs] if len(hidden) == 1 else outputs
    spreads = [output.std(axis=tuple(range(output.ndim - 1))) for output in outputs]
    return np.concatenate([spread <= share * np.median(spread) for spread in spreads])


def _finite(values) -> bool:
    return np.issubdtype(np.asarray(values).dtype, np.number) and bool(np.isfinite(values).all())
