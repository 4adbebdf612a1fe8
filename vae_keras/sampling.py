"""Sampling: the layer that draws a point from the distribution that the encoder names."""

from typing import Any

import keras
from keras import ops

from vae_keras.steps import replica

SEEDS_APART = 1_000_003


@keras.saving.register_keras_serializable(package="vae_keras")
class Sampling(keras.layers.Layer):
    """Draw z ~ N(z_mean, exp(z_log_var)): z = z_mean + exp(z_log_var / 2) * epsilon, epsilon ~ N(0, 1).

    The reparameterisation trick (Kingma and Welling 2014, section 2.4): the noise comes from outside, so that z is a
    smooth function of z_mean and z_log_var and gradients flow through it. Takes z_mean and z_log_var, each
    (n, latent_dim), and returns z, (n, latent_dim). Computes in float32 even under mixed precision, where exp would
    overflow.

    Args:
        seed: Two calls differ; two layers with the same seed draw the same sequence. Without a seed,
            `keras.utils.set_random_seed` governs it.
        **kwargs: What `keras.layers.Layer` takes, such as `name`.

    Example:
        >>> z_mean, z_log_var = keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)
        >>> z = Sampling(seed=0)(z_mean, z_log_var)
        >>> encoder = keras.Model(image, [z_mean, z_log_var, z])
    """

    def __init__(self, seed: int | None = None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = ReplicaSeeds(seed)

    def call(self, z_mean: Any, z_log_var: Any) -> Any:
        """Draw z, (n, latent_dim)."""
        epsilon = keras.random.normal(ops.shape(z_mean), dtype=z_mean.dtype, seed=self.seed_generator)
        return z_mean + ops.exp(z_log_var / 2) * epsilon

    def compute_output_shape(self, z_mean_shape: tuple, z_log_var_shape: tuple) -> tuple:
        """Give the shape of z, that of z_mean."""
        return z_mean_shape

    def get_config(self) -> dict:
        """Name the seed, so that the layer can be saved."""
        return {**super().get_config(), "seed": self.seed}

    # Keras saves weights only. The state of the noise goes with them, so that a loaded model does not repeat its noise.
    def save_own_variables(self, store: dict) -> None:
        """Keep the state of the noise."""
        store["noise"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: dict) -> None:
        """Go on with the noise where it was kept."""
        self.seed_generator.state.assign(store["noise"])


class ReplicaSeeds(keras.random.SeedGenerator):
    """Seeds that differ from replica to replica of `tf.distribute`: with those of Keras all draw the same noise."""

    def next(self, ordered: bool = True) -> Any:
        """Give the next seed, (2,)."""
        seed, number = super().next(ordered), replica()
        return seed if number is None else seed + ops.cast(ops.stack([number, 0]) * SEEDS_APART, seed.dtype)
