"""VAE: an autoencoder that maps every image to a distribution, and pays for it in nats."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_keras import losses
from vae_keras.autoencoder import Autoencoder, images_of
from vae_keras.sampling import Sampling

LARGEST_BETA = float(np.finfo("float32").max)


@keras.saving.register_keras_serializable(package="vae_keras")
class VAE(Autoencoder):
    """Variational autoencoder: the loss is reconstruction_loss + beta * kl_loss, in nats per image.

    `encoder` gives z_mean, z_log_var and z, each (n, latent_dim). With `beta` = 1, the default, the loss is the
    negative evidence lower bound (Kingma and Welling 2014, equation 3) with one sample of z; other values give the
    beta-VAE (Higgins et al. 2017). `beta` may be set at any time, by a callback while `fit` runs too.

    Training and `evaluate` sample z, and take the mean of the reconstruction loss over `samples` draws of z for each
    image, 1 by default: more make the gradient less noisy, and each costs a pass through the decoder. `call` and
    `predict` decode z_mean, and so give the same image every time.

    The metrics are `loss`, `reconstruction_loss` and `kl_loss`. Other arguments and errors as in `Autoencoder`; raises
    `ValueError` for a beta that is negative or not finite, for no samples, and for more than one where the encoder has
    no `Sampling` layer to draw them.
    """

    encoder_outputs = ("z_mean", "z_log_var", "z")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        beta: float = 1.0,
        reconstruction_loss: Callable = losses.bernoulli,
        samples: int = 1,
        **kwargs,
    ):
        super().__init__(encoder, decoder, reconstruction_loss, **kwargs)
        self.samples = _checked_samples(samples, encoder)
        # A variable and not a number: a compiled train_step would keep the number that it saw first.
        self._beta = keras.Variable(_checked_beta(beta), trainable=False, dtype="float32", name="beta")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss", dtype="float64")

    @property
    def beta(self) -> float:
        """The weight of the KL term."""
        return float(self._beta)

    @beta.setter
    def beta(self, value: float):
        self._beta.assign(_checked_beta(value))

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def call(self, images, training=None):
        """Reconstruct images from the mean of their distributions, without noise."""
        z_mean, _, _ = self.encoder(images, training=training)
        return self.decoder(z_mean, training=training)

    def train_step(self, data):
        images = images_of(data)
        with tf.GradientTape() as tape:
            terms = self.loss_terms(images, training=True)
            mean_loss = self.optimizer.scale_loss(ops.mean(terms["loss"]))
        gradients = tape.gradient(mean_loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.track(**terms)

    def test_step(self, data):
        return self.track(**self.loss_terms(images_of(data), training=False))

    def loss_terms(self, images, training: bool) -> dict:
        """Compute loss, reconstruction_loss and kl_loss for each image, shape (n,)."""
        z_mean, z_log_var, z = self.encoder(images, training=training)
        if self.samples > 1:
            images, many_means, many_log_vars = (
                ops.repeat(values, self.samples, axis=0) for values in (images, z_mean, z_log_var)
            )
            z = _sampling(self.encoder)(many_means, many_log_vars)
        reconstruction_loss = self.reconstruction_loss(images, self.decoder(z, training=training))
        if self.samples > 1:
            reconstruction_loss = ops.mean(ops.reshape(reconstruction_loss, (-1, self.samples)), axis=1)
        kl_loss = losses.kl_divergence(z_mean, z_log_var)
        loss = reconstruction_loss + self._beta * kl_loss + sum(self.losses)
        return {"loss": loss, "reconstruction_loss": reconstruction_loss, "kl_loss": kl_loss}

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "samples": self.samples}


class WarmUp(keras.callbacks.Callback):
    """KL warm-up: raise beta in equal steps to its full value over the first `epochs` epochs (Bowman et al. 2016).

    The full value is that of the model when `fit` begins, and it stands again when `fit` ends. `start` is the share of
    it in the first epoch; at 0 nothing would hold z_mean and z_log_var, and training may diverge when the term sets in.
    Raises `ValueError` for `epochs` below 1 and a `start` outside [0, 1].
    """

    def __init__(self, epochs: int, start: float = 0.05):
        super().__init__()
        if epochs < 1 or not 0 <= start <= 1:
            raise ValueError(f"epochs is {epochs} and start {start}. Expected epochs of 1 or more, start from 0 to 1.")
        self.epochs = epochs
        self.start = start

    def on_train_begin(self, logs=None):
        self.full_beta = self.model.beta

    def on_epoch_begin(self, epoch, logs=None):
        self.model.beta = self.full_beta * min(1.0, self.start + epoch / self.epochs)

    def on_train_end(self, logs=None):
        self.model.beta = self.full_beta


def _sampling(encoder: keras.Model) -> Sampling | None:
    return next((layer for layer in encoder.layers if isinstance(layer, Sampling)), None)


def _checked_samples(samples: int, encoder: keras.Model) -> int:
    if not isinstance(samples, int) or samples < 1:
        raise ValueError(f"samples is {samples!r}. Expected a whole number of draws of z for each image, 1 or more.")
    if samples > 1 and _sampling(encoder) is None:
        raise ValueError(
            f"samples is {samples}, but the encoder has no Sampling layer to draw more than one z. Give it one, as "
            "vae_keras.networks does, or leave samples at 1."
        )
    return samples


def _checked_beta(beta: float) -> float:
    if not 0 <= beta <= LARGEST_BETA:
        raise ValueError(
            f"beta is {beta}. Expected a number from 0 to {LARGEST_BETA:.2g}, the largest of float32: the weight of "
            "the KL term."
        )
    return float(beta)
