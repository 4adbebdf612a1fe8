"""VAE: an autoencoder that maps every image to a distribution, and pays for it in nats."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from keras import ops

from vae_keras import losses
from vae_keras.autoencoder import Autoencoder
from vae_keras.sampling import Sampling
from vae_keras.steps import Mean

LARGEST = float(np.finfo("float32").max)


@keras.saving.register_keras_serializable(package="vae_keras")
class VAE(Autoencoder):
    """Variational autoencoder: the loss is reconstruction_loss + beta * kl_loss, in nats per image.

    With `beta` = 1, the default, the loss is the negative evidence lower bound (Kingma and Welling 2014, equation 3);
    other values give the beta-VAE (Higgins et al. 2017). `beta` may be set at any time, by a callback while `fit` runs
    too. Training and `evaluate` sample z. `call` and `predict` decode z_mean, and so give the same image every time.
    The metrics are `loss`, `reconstruction_loss` and `kl_loss`, and `val_` of each.

    With `free_nats` above 0 each latent has so many nats free (free bits: Kingma et al. 2016, appendix C.8): the loss
    is reconstruction_loss + beta * the sum over the latents of max(free_nats, mean KL of the latent in the batch).
    `kl_loss` stays the KL itself, so `loss` may be more than reconstruction_loss + beta * kl_loss, in `evaluate` too.

    Args:
        encoder: Functional model, images (n, height, width, channels) -> z_mean, z_log_var, z, each (n, latent_dim).
        decoder: Functional model, z -> images of the same shape, in [0, 1].
        beta: The weight of the KL term, 0 or more.
        reconstruction_loss: `reconstruction_loss(images, reconstruction)` gives nats per image, shape (n,):
            `losses.bernoulli`, the default, `losses.gaussian`, `losses.LearnedGaussian()`, or your own.
        samples: Draws of z for each image, over which the reconstruction loss is averaged. More make the gradient less
            noisy, and each costs a pass through the decoder.
        reconstruction_weight: The weight of the reconstruction loss, 1 by default; at 0 the KL term is alone.
        free_nats: The nats that each latent is charged at least, 0 by default: up to there its information is free.
        **kwargs: What `keras.Model` takes, such as `name`.

    Raises:
        ValueError: For weights or free nats that are negative or not finite, for no samples, for more than one where
            the encoder has no `Sampling` layer to draw them, and as `Autoencoder` does.

    Example:
        >>> encoder = networks.dense_encoder((28, 28, 1), latent_dim=2)
        >>> vae = VAE(encoder, networks.dense_decoder((28, 28, 1), latent_dim=2), beta=1.0)
        >>> vae.compile(keras.optimizers.Adam(1e-3))
        >>> vae.fit(images.x_train, epochs=30, validation_data=images.x_test, callbacks=[WarmUp(15)])
        >>> z_mean, z_log_var, z = vae.encoder.predict(images.x_test)
    """

    encoder_outputs = ("z_mean", "z_log_var", "z")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        beta: float = 1.0,
        reconstruction_loss: Callable = losses.bernoulli,
        samples: int = 1,
        reconstruction_weight: float = 1.0,
        free_nats: float = 0.0,
        **kwargs,
    ):
        super().__init__(encoder, decoder, reconstruction_loss, **kwargs)
        self.samples = _checked_samples(samples, encoder)
        self.reconstruction_weight = checked_number("reconstruction_weight", reconstruction_weight)
        self.free_nats = checked_number("free_nats", free_nats, meaning="what each latent is charged at least")
        # A variable and not a number: a compiled train_step would keep the number that it saw first.
        self._beta = keras.Variable(checked_number("beta", beta), trainable=False, dtype="float32", name="beta")
        self.kl_loss_tracker = Mean(name="kl_loss")

    @property
    def beta(self) -> float:
        """The weight of the KL term."""
        self.synchronise()
        return float(self._beta)

    @beta.setter
    def beta(self, value: float):
        self.synchronise()
        self._beta.assign(checked_number("beta", value))

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers of the loss and its two terms, which Keras resets before every epoch."""
        return [self.loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Reconstruct images from the mean of their distributions, without noise."""
        z_mean, _, _ = self.encoder(images, training=training)
        return self.decoder(z_mean, training=training)

    def loss_terms(self, images: Any, training: bool) -> dict:
        """Compute the loss and its two terms.

        Args:
            images: A batch, (n, height, width, channels), in [0, 1].
            training: Whether dropout, noise and batch normalisation behave as in training.

        Returns:
            `loss`, `reconstruction_loss` and `kl_loss`, each of shape (n,), in nats per image. With `free_nats` what
            the loss charges for z is that of the batch, the same for all its images.
        """
        z_mean, z_log_var, z = self.encoder(images, training=training)
        if self.samples == 1:
            reconstruction_loss = self._loss_of_draws(images, z, training)
        else:
            reconstruction_loss = self._mean_over_draws(images, z_mean, z_log_var, training)
        kl_loss = charge = losses.kl_divergence(z_mean, z_log_var)
        if self.free_nats:
            by_latent = ops.mean(losses.kl_by_latent(z_mean, z_log_var), axis=0)
            charge = ops.sum(ops.maximum(by_latent, self.free_nats))
        loss = self.reconstruction_weight * reconstruction_loss + self._beta * charge + sum(self.losses)
        return {"loss": loss, "reconstruction_loss": reconstruction_loss, "kl_loss": kl_loss}

    def _loss_of_draws(self, images, z, training):
        return self.reconstruction_loss(images, self.decoder(z, training=training))

    def _mean_over_draws(self, images, z_mean, z_log_var, training):
        images, z_mean, z_log_var = keras.tree.map_structure(
            lambda x: ops.repeat(x, self.samples, axis=0), (images, z_mean, z_log_var)
        )
        z = _sampling(self.encoder)(z_mean, z_log_var)
        by_draw = self._loss_of_draws(images, z, training)
        return ops.mean(ops.reshape(by_draw, (-1, self.samples)), axis=1)

    def get_config(self) -> dict:
        """Name what the model is made of, so that it can be saved."""
        own = ("beta", "samples", "reconstruction_weight", "free_nats")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


class WarmUp(keras.callbacks.Callback):
    """KL warm-up: raise beta in equal steps to its full value over the first epochs (Bowman et al. 2016).

    The full value is that of the model when `fit` begins, and it stands again when `fit` ends. In the list of callbacks
    it belongs before `BackupAndRestore`, which puts back the value of an epoch.

    Args:
        epochs: After so many epochs beta has its full value.
        start: The share of the full value in the first epoch. At 0 nothing would hold z_mean and z_log_var, and
            training may diverge when the term sets in.

    Raises:
        ValueError: For `epochs` that are no whole number above 0 and a `start` outside [0, 1]; when `fit` begins, for a
            model without beta.

    Example:
        >>> vae.fit(images.x_train, epochs=30, callbacks=[WarmUp(15)])
    """

    def __init__(self, epochs: int, start: float = 0.05):
        super().__init__()
        if not isinstance(epochs, Integral) or epochs < 1 or not isinstance(start, Real) or not 0 <= start <= 1:
            raise ValueError(
                f"epochs is {epochs!r} and start {start!r}. Expected whole epochs, 1 or more, and start from 0 to 1."
            )
        self.epochs = epochs
        self.start = start

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Note the full value."""
        if not hasattr(self.model, "beta"):
            raise ValueError(f"The model is of type {type(self.model).__name__}, without beta. Expected a VAE.")
        self.full_beta = self.model.beta

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set beta for the epoch, which counts from 0."""
        self.model.beta = self.full_beta * min(1.0, self.start + epoch / self.epochs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Put the full value back."""
        self.model.beta = self.full_beta


def _sampling(encoder: keras.Model) -> Sampling | None:
    return next((layer for layer in encoder.layers if isinstance(layer, Sampling)), None)


def _checked_samples(samples: int, encoder: keras.Model) -> int:
    if not isinstance(samples, Integral) or samples < 1:
        raise ValueError(f"samples is {samples!r}. Expected a whole number of draws of z for each image, 1 or more.")
    if samples > 1 and _sampling(encoder) is None:
        raise ValueError(
            f"samples is {samples}, but the encoder has no Sampling layer to draw more than one z. Give it one, as "
            "vae_keras.networks does, or leave samples at 1."
        )
    return int(samples)


def checked_number(name: str, value: float, meaning: str = "the weight of a term of the loss") -> float:
    """Refuse what is no number that a weight can have.

    Args:
        name: What the message calls it.
        value: Expected a number from 0 to the largest of float32.
        meaning: What the message says it is.

    Returns:
        The number.

    Raises:
        ValueError: For anything else.
    """
    if not isinstance(value, Real) or not 0 <= value <= LARGEST:
        raise ValueError(
            f"{name} is {value!r}. Expected a number from 0 to {LARGEST:.2g}, the largest of float32: {meaning}."
        )
    return float(value)
