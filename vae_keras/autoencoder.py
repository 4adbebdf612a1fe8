"""Autoencoder: an encoder and a decoder that are trained together to give back what they were given."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from vae_keras import losses
from vae_keras.data import check_source, images_of
from vae_keras.steps import Mean, Steps
from vae_keras.tied import retie


@keras.saving.register_keras_serializable(package="vae_keras")
class Autoencoder(Steps, keras.Model):
    """Train an encoder (image -> z) and a decoder (z -> image) on the reconstruction loss.

    The metrics `loss` and `reconstruction_loss`, and `val_` of both, are means over all images, in nats per image. What
    weight penalties and `add_loss` put into the two networks is added to the loss. `fit` takes arrays, `(x, y)` pairs,
    of which the labels are left aside, `tf.data` and `PyDataset`. `train_step` and `test_step` stand in
    `vae_keras.steps`, for TensorFlow, JAX and PyTorch.

    Args:
        encoder: Functional model, images (n, height, width, channels) -> z (n, latent_dim).
        decoder: Functional model, z -> images of the same shape, in [0, 1].
        reconstruction_loss: `reconstruction_loss(images, reconstruction)` gives nats per image, shape (n,):
            `losses.bernoulli`, the default, `losses.gaussian`, or a function or layer of your own.
        **kwargs: What `keras.Model` takes, such as `name`.

    Raises:
        ValueError: For networks that do not fit together, and for a reconstruction loss that cannot be called. `fit`
            and `evaluate` raise it, before they begin, for a loss or metrics in `compile` and for anything but images
            in [0, 1]; of `tf.data` and `PyDataset` the first batch is looked at.

    Example:
        >>> encoder = networks.dense_encoder((28, 28, 1), latent_dim=2, variational=False)
        >>> autoencoder = Autoencoder(encoder, networks.dense_decoder((28, 28, 1), latent_dim=2))
        >>> autoencoder.compile(keras.optimizers.Adam(1e-3))
        >>> autoencoder.fit(images.x_train, epochs=10, validation_data=images.x_test)
        >>> z = autoencoder.encoder.predict(images.x_test)
    """

    # What the encoder takes beside the images, the decoder takes beside z.
    encoder_inputs: tuple[str, ...] = ("images",)
    encoder_outputs: tuple[str, ...] = ("z",)
    # How many classes there are, where the networks take the class of each image.
    classes: int | None = None
    # -1 where an image may come without a label.
    least_label: int = 0

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        reconstruction_loss: Callable = losses.bernoulli,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _check_networks(encoder, decoder, self.encoder_inputs, self.encoder_outputs)
        _check_loss(reconstruction_loss, encoder.inputs[0].shape[1:])
        self.encoder = encoder
        self.decoder = decoder
        self.reconstruction_loss = reconstruction_loss
        self.loss_tracker = Mean(name="loss")
        self.reconstruction_loss_tracker = Mean(name="reconstruction_loss")
        self.built = True

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers of the loss and its terms, which Keras resets before every epoch."""
        return [self.loss_tracker, self.reconstruction_loss_tracker]

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Reconstruct images, (n, height, width, channels)."""
        return self.decoder(self.encoder(images, training=training), training=training)

    def loss_terms(self, images: Any, training: bool) -> dict:
        """Compute the loss and its terms.

        Args:
            images: A batch, (n, height, width, channels), in [0, 1].
            training: Whether dropout, noise and batch normalisation behave as in training.

        Returns:
            `loss` and `reconstruction_loss`, each of shape (n,), in nats per image.
        """
        reconstruction_loss = self.reconstruction_loss(images, self(images, training=training))
        return {"loss": reconstruction_loss + sum(self.losses), "reconstruction_loss": reconstruction_loss}

    def batch_of(self, data: Any) -> Any:
        """Take what `loss_terms` needs out of what `fit` hands to a step: the images."""
        return images_of(data)

    def track(self, **values: Any) -> dict:
        """Add values to the trackers of the same names.

        Args:
            **values: For each tracker in `metrics` values of shape (n,).

        Returns:
            The means of all that was added since the last reset.
        """
        for tracker in self.metrics:
            tracker.update_state(values[tracker.name])
        return self.get_metrics_result()

    def fit(
        self, x: Any = None, y: Any = None, *args, validation_data: Any = None, **kwargs
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, after a look at the data.

        Args:
            x: Images as an array, `tf.data`, a `PyDataset` or a generator.
            y: Labels, or None; they play no part but in a `ConditionalVAE`.
            *args: As for `keras.Model.fit`.
            validation_data: Images, `(images, labels)`, or a source as for `x`.
            **kwargs: As for `keras.Model.fit`; weights of classes or images are refused.

        Returns:
            The history of the losses by epoch, in nats per image.

        Raises:
            ValueError: For data that do not fit, for weights, and for a loss or metrics in `compile`.
        """
        if self.loss is not None:
            raise ValueError(
                f"compile got loss={self.loss!r}, but {type(self).__name__} has its loss built in. Leave it out there, "
                "and pass reconstruction_loss to the constructor."
            )
        compiled = self.get_compile_config() or {}
        if compiled.get("metrics") or compiled.get("weighted_metrics"):
            raise ValueError(
                f"compile got metrics, but those of {type(self).__name__} are built in: "
                f"{', '.join(tracker.name for tracker in self.metrics)}. Leave them out there, and measure what else "
                "you want on the result of predict."
            )
        if kwargs.get("class_weight") is not None:
            raise ValueError("class_weight is given, but every image counts the same here. Leave it out.")
        self._check_source(x, y, kwargs.get("sample_weight"))
        if validation_data is not None:
            validation = keras.utils.unpack_x_y_sample_weight(validation_data)
            self._check_source(*validation, name="validation_data")
        return super().fit(x, y, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args, **kwargs) -> Any:
        """Measure the loss and its terms as `keras.Model.evaluate` does, after a look at the data.

        Args:
            x: Images as an array, `tf.data`, a `PyDataset` or a generator.
            y: Labels, or None; they play no part but in a `ConditionalVAE`.
            *args: As for `keras.Model.evaluate`.
            **kwargs: As for `keras.Model.evaluate`; weights of images are refused.

        Returns:
            The means over all images, in nats per image; with `return_dict=True` by name.

        Raises:
            ValueError: For data that do not fit.
        """
        self._check_source(x, y, kwargs.get("sample_weight"))
        return super().evaluate(x, y, *args, **kwargs)

    def _check_source(self, *source, **name):
        check_source(*source, **name, classes=self.classes, least_label=self.least_label)

    def get_config(self) -> dict:
        """Name what the model is made of, so that it can be saved."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "reconstruction_loss": keras.saving.serialize_keras_object(self.reconstruction_loss),
        }

    @classmethod
    def from_config(cls, config: dict) -> "Autoencoder":
        """Make the model of which `get_config` gave the configuration."""
        parts = ("encoder", "decoder", "reconstruction_loss")
        config = {**config, **{part: keras.saving.deserialize_keras_object(config[part]) for part in parts}}
        return cls(**{**config, "decoder": retie(config["encoder"], config["decoder"])})


def _check_networks(encoder, decoder, encoder_inputs, encoder_outputs) -> None:
    for name, network, inputs in (
        ("encoder", encoder, encoder_inputs),
        ("decoder", decoder, ("z", *encoder_inputs[1:])),
    ):
        if not isinstance(network, keras.Model) or not hasattr(network, "output_shape"):
            raise ValueError(f"{name} is {network!r}. Expected a functional Keras model, as vae_keras.networks makes.")
        if len(network.inputs) != len(inputs):
            raise ValueError(
                f"{name} has {len(network.inputs)} inputs. Expected {' and '.join(inputs)}: vae_keras.networks makes "
                "networks that take labels too, for a ConditionalVAE, with classes=10, and others without it."
            )
    latents = [tuple(output.shape) for output in encoder.outputs]
    expected = ", ".join(encoder_outputs)
    if len(latents) != len(encoder_outputs) or any(len(shape) != 2 for shape in latents) or len(set(latents)) > 1:
        raise ValueError(
            f"encoder has {len(latents)} outputs of shapes {latents}. Expected {expected}, each of shape "
            "(None, latent_dim): vae_keras.networks makes encoders with z_mean, z_log_var and z for a VAE, and with z "
            "alone, variational=False, for an Autoencoder."
        )
    latent_dim, images, z = latents[0][1], tuple(encoder.inputs[0].shape), tuple(decoder.inputs[0].shape)
    if z != (None, latent_dim):
        raise ValueError(
            f"encoder gives {latent_dim} latents but decoder takes {z}. Expected the same latent_dim in both."
        )
    if tuple(decoder.output_shape) != images:
        raise ValueError(
            f"encoder takes images {images} but decoder gives {decoder.output_shape}. Expected the same shape in both."
        )


def _check_loss(reconstruction_loss, image_shape) -> None:
    if not callable(reconstruction_loss):
        raise ValueError(
            f"reconstruction_loss is {reconstruction_loss!r}. Expected losses.bernoulli, losses.gaussian, or a "
            "function (images, reconstruction) -> nats per image, shape (n,)."
        )
    two_images = ops.zeros((2, *(size or 1 for size in image_shape)))
    shape = tuple(np.shape(reconstruction_loss(two_images, two_images)))
    if shape != (2,):
        raise ValueError(
            f"reconstruction_loss {reconstruction_loss!r} gives shape {shape} for two images. Expected nats per image, "
            "(n,): a sum over height, width and channels, and no mean over the images, as the losses of Keras take."
        )
