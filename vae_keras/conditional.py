"""ConditionalVAE: a VAE that is told the class of each image, and draws images of a class."""

from typing import Any

import keras
from keras import ops

from vae_keras.data import images_of
from vae_keras.vae import VAE


@keras.saving.register_keras_serializable(package="vae_keras")
class ConditionalVAE(VAE):
    """VAE that is told the class y of each image: encoder q(z|x, y), decoder p(x|z, y), prior N(0, I) for every class.

    The loss has the terms of a `VAE`. With beta = 1 it is the negative of a lower bound on log p(x|y) (Kingma et al.
    2014, equation 6 without log p(y); Sohn et al. 2015). z need not say what the class says: it is left the style.

    Labels are whole numbers from 0 on, (n,), and the networks make them one-hot. `fit` and `evaluate` need them as y:
    arrays, `(x, y)` pairs, or batches of (x, y) from `tf.data` and `PyDataset`. The model itself, `predict`,
    `loss_terms` and the encoder take [images, labels], and the decoder takes [z, labels]. These do not check labels:
    one that has no class becomes zeros alone.

    Args:
        encoder: Functional model, [images, labels] -> z_mean, z_log_var, z, each (n, latent_dim), as
            `networks.dense_encoder(..., classes=10)` makes.
        decoder: Functional model, [z, labels] -> images, in [0, 1].
        *args: What else `VAE` takes: `beta`, `reconstruction_loss` ...
        **kwargs: Likewise.

    Raises:
        ValueError: For networks that take no labels or two numbers of classes, and as `VAE` does. `fit` and `evaluate`
            raise it also for labels that are missing, that are no whole numbers, or that have no class.

    Example:
        >>> encoder = networks.dense_encoder((28, 28, 1), latent_dim=2, classes=10)
        >>> cvae = ConditionalVAE(encoder, networks.dense_decoder((28, 28, 1), latent_dim=2, classes=10))
        >>> cvae.compile(keras.optimizers.Adam(1e-3))
        >>> cvae.fit(images.x_train, images.y_train, epochs=30, validation_data=(images.x_test, images.y_test))
        >>> sevens = cvae.decoder.predict([np.random.normal(size=(100, 2)), np.full(100, 7)])
    """

    encoder_inputs = ("images", "labels")

    def __init__(self, encoder: keras.Model, decoder: keras.Model, *args, **kwargs):
        super().__init__(encoder, decoder, *args, **kwargs)
        self.classes = _classes("encoder", encoder)
        if _classes("decoder", decoder) != self.classes:
            raise ValueError(
                f"encoder takes {self.classes} classes but decoder {_classes('decoder', decoder)}. Expected the same "
                "number in both."
            )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Reconstruct images from the mean of their distributions, without noise; takes [images, labels]."""
        z_mean, _, _ = self.encoder(inputs, training=training)
        # Keras takes no arrays beside tensors such as z_mean.
        return self.decoder([z_mean, ops.convert_to_tensor(inputs[1])], training=training)

    def batch_of(self, data: Any) -> list:
        """Take what `loss_terms` needs out of what `fit` hands to a step: [images, labels]."""
        images, labels = images_of(data), keras.utils.unpack_x_y_sample_weight(data)[1]
        if labels is None:
            raise ValueError("A batch comes without labels. Expected batches of (images, labels).")
        return [images, labels]

    def loss_terms(self, inputs: Any, training: bool) -> dict:
        """Compute the loss and its two terms.

        Args:
            inputs: A batch, [images, labels], of shapes (n, height, width, channels) and (n,).
            training: Whether dropout, noise and batch normalisation behave as in training.

        Returns:
            `loss`, `reconstruction_loss` and `kl_loss`, each of shape (n,), in nats per image, as those of a `VAE`.
        """
        # Keras takes no arrays beside tensors such as z.
        return super().loss_terms([ops.convert_to_tensor(part) for part in inputs], training)

    def _loss_of_draws(self, inputs, z, training):
        images, labels = inputs
        return self.reconstruction_loss(images, self.decoder([z, labels], training=training))


def _classes(name: str, network: keras.Model) -> int:
    encoding = next((layer for layer in network.layers if isinstance(layer, keras.layers.CategoryEncoding)), None)
    if encoding is None:
        raise ValueError(
            f"{name} has no CategoryEncoding layer, which makes labels one-hot and says how many classes there are. "
            "Expected one, as vae_keras.networks makes with classes=10."
        )
    return encoding.num_tokens
