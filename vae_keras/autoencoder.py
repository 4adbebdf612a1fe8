"""Autoencoder: an encoder and a decoder that are trained together to give back what they were given."""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import ops

from vae_keras import data, losses
from vae_keras.tied import tied_again


@keras.saving.register_keras_serializable(package="vae_keras")
class Autoencoder(keras.Model):
    """Train an encoder (image -> z) and a decoder (z -> image) on the reconstruction loss.

    `encoder` and `decoder` are functional models; `reconstruction_loss(images, reconstruction)` gives nats per image,
    shape (n,): `losses.bernoulli` (the default) or `losses.gaussian`. What weight penalties and `add_loss` put into the
    two networks is added to the loss. `fit` takes arrays, `(x, y)` pairs, of which the labels are left aside, `tf.data`
    and `PyDataset`.

    The metrics `loss` and `reconstruction_loss`, and `val_` of both, are means over all images, in nats per image.

    Raises `ValueError` for networks that do not fit together and, before training, for a loss or metrics in `compile`
    and for anything but images (n, height, width, channels) in [0, 1]; of `tf.data` and `PyDataset` the first
    batch is looked at.
    """

    encoder_outputs = ("z",)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction_loss: Callable = losses.bernoulli,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"Keras runs on {keras.backend.backend()}, but {type(self).__name__} trains on TensorFlow. "
                "Set KERAS_BACKEND=tensorflow before keras is imported."
            )
        _check_networks(encoder, decoder, self.encoder_outputs)
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction_loss = reconstruction_loss
        # In float32 the sums over 60,000 images would lose so much that the loss no longer equals its terms to 1e-4.
        self.loss_tracker = keras.metrics.Mean(name="loss", dtype="float64")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss", dtype="float64")
        self.built = True

    @property
    def metrics(self):
        return [self.loss_tracker, self.reconstruction_loss_tracker]

    def call(self, images, training=None):
        """Reconstruct images."""
        return self.decoder(self.encoder(images, training=training), training=training)

    def train_step(self, data):
        images = images_of(data)
        with tf.GradientTape() as tape:
            reconstruction_loss = self.reconstruction_loss(images, self(images, training=True))
            loss = reconstruction_loss + sum(self.losses)
            mean_loss = self.optimizer.scale_loss(ops.mean(loss))
        gradients = tape.gradient(mean_loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        return self.track(loss=loss, reconstruction_loss=reconstruction_loss)

    def test_step(self, data):
        images = images_of(data)
        reconstruction_loss = self.reconstruction_loss(images, self(images, training=False))
        return self.track(loss=reconstruction_loss + sum(self.losses), reconstruction_loss=reconstruction_loss)

    def track(self, **values) -> dict:
        """Add values of shape (n,) to the trackers of the same names, and return all means so far."""
        for tracker in self.metrics:
            tracker.update_state(values[tracker.name])
        return self.get_metrics_result()

    def fit(self, x=None, y=None, *args, validation_data=None, **kwargs):
        """Train as Keras does, after a look at the data."""
        if self.loss is not None:
            raise ValueError(
                f"compile got loss={self.loss!r}, but {type(self).__name__} has its loss built in. Leave it out there, "
                "and pass reconstruction_loss to the constructor."
            )
        # Keras has no public name for them.
        if self._compile_metrics is not None:
            raise ValueError(
                f"compile got metrics, but those of {type(self).__name__} are built in: "
                f"{', '.join(tracker.name for tracker in self.metrics)}. Leave them out there, and measure what else "
                "you want on the result of predict."
            )
        check_source(x, y, kwargs.get("sample_weight"))
        if validation_data is not None:
            check_source(*keras.utils.unpack_x_y_sample_weight(validation_data), name="validation_data")
        return super().fit(x, y, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Measure the loss and its terms as Keras does, after a look at the data."""
        check_source(x, y, kwargs.get("sample_weight"))
        return super().evaluate(x, y, *args, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "reconstruction_loss": keras.saving.serialize_keras_object(self.reconstruction_loss),
        }

    @classmethod
    def from_config(cls, config):
        parts = ("encoder", "decoder", "reconstruction_loss")
        config = {**config, **{part: keras.saving.deserialize_keras_object(config[part]) for part in parts}}
        return cls(**{**config, "decoder": tied_again(config["encoder"], config["decoder"])})


def images_of(data):
    """Take the images out of what `fit` hands to a step: images, (images,) or (images, labels)."""
    images, _, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if sample_weight is not None:
        raise ValueError("sample_weight is given, but every image counts the same here. Leave it out.")
    return images


def check_source(x, y=None, sample_weight=None, name: str = "x") -> None:
    """Raise `ValueError` unless `x` holds images as `data.check_images` wants them, `y` as many labels, and no weights.

    Arrays are checked whole, `tf.data` and `PyDataset` by their first batch, generators not at all.
    """
    if isinstance(x, tf.data.Dataset):
        batch = next(iter(x.take(1)), None)
        if batch is None:
            raise ValueError(f"{name} is an empty tf.data.Dataset. Expected at least one batch of images.")
    elif isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif hasattr(x, "__next__"):
        return
    else:
        batch = (x, y, sample_weight)
    _, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
    data.check_images(ops.convert_to_numpy(images_of(batch)), labels, name=name)


def _check_networks(encoder, decoder, encoder_outputs) -> None:
    for name, network in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(network, keras.Model) or not hasattr(network, "output_shape"):
            raise ValueError(f"{name} is {network!r}. Expected a functional Keras model, as vae_keras.networks makes.")
    latents = [tuple(output.shape) for output in encoder.outputs]
    expected = ", ".join(encoder_outputs)
    if len(latents) != len(encoder_outputs) or any(len(shape) != 2 for shape in latents) or len(set(latents)) > 1:
        raise ValueError(
            f"encoder has {len(latents)} outputs of shapes {latents}. Expected {expected}, each of shape "
            "(None, latent_dim): vae_keras.networks makes encoders with z_mean, z_log_var and z for a VAE, and with z "
            "alone, variational=False, for an Autoencoder."
        )
    latent_dim, images = latents[0][1], tuple(encoder.input_shape)
    if tuple(decoder.input_shape) != (None, latent_dim):
        raise ValueError(
            f"encoder gives {latent_dim} latents but decoder takes {decoder.input_shape}. "
            "Expected the same latent_dim in both."
        )
    if tuple(decoder.output_shape) != images:
        raise ValueError(
            f"encoder takes images {images} but decoder gives {decoder.output_shape}. Expected the same shape in both."
        )
