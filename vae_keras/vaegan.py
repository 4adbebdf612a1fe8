"""VAEGAN: a VAE whose reconstructions are compared by what a discriminator sees, which learns along with it."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.optimizers import LossScaleOptimizer

from vae_keras import losses
from vae_keras.sampling import Sampling
from vae_keras.steps import Mean
from vae_keras.vae import VAE, checked_number

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

NETWORKS = ("encoder", "decoder", "discriminator")
LEAST_VARIANCE = 1e-12


@keras.saving.register_keras_serializable(package="vae_keras")
class VAEGAN(VAE):
    """VAE/GAN (Larsen et al. 2016): a discriminator tells images from fakes, and its features compare images.

    x' is the reconstruction of x, x_p is decoded from a draw of the prior, f(x) are the d features of a hidden layer
    of the discriminator, and D(x) is its logit. Each network learns from a loss of its own, and from no other:

        encoder:        like + beta * kl_loss
        decoder:        feature_weight * like / d + softplus(-D(x')) + softplus(-D(x_p))
        discriminator:  softplus(-D(x)) + softplus(D(x')) / 2 + softplus(D(x_p)) / 2

    So the discriminator is not taught to find images and reconstructions alike, and the encoder not to deceive it.
    like = |f(x) - f(x')|^2 / (2 s^2) is the negative log-likelihood of the features less a constant, with s^2 as the
    mean squared error of a feature in the batch, through which no gradient flows (as Rybkin et al. 2021). This and the
    losses of the decoder and the discriminator, which do not saturate (Goodfellow et al. 2014, section 3), differ from
    the paper, where s = 1, and make training stable.

    All three step at once, from the same weights, on one device. While the others look through the discriminator it is
    in inference mode, so that nothing of it moves. There is no single `loss`: the metrics are `encoder_loss`,
    `decoder_loss` and `discriminator_loss`; `kl_loss`, in nats per image; `feature_loss`, |f(x) - f(x')|^2 / 2;
    `reconstruction_loss`, which compares pixels and is measured only; and `val_` of each. As the mean of like is always
    d / 2, and f changes, `reconstruction_loss` alone shows how well images come back. `call` and `predict` are those of
    a `VAE`.

    Args:
        encoder: Functional model, images (n, height, width, channels) -> z_mean, z_log_var, z, each (n, latent_dim).
        decoder: Functional model, z -> images of the same shape, in [0, 1].
        discriminator: Functional model, images -> features (n, ...), and the logit that an image is real, (n, 1), as
            `networks.conv_discriminator` makes.
        beta: The weight of the KL term, 0 or more.
        feature_weight: The weight of the features in the decoder's loss, 0 or more: as feature_weight / 2 is the value
            of that term, more of it is less of the GAN.
        reconstruction_loss: `reconstruction_loss(images, reconstruction)` gives nats per image, (n,); no part of any
            loss.
        seed: Fixes the draws of the prior. Without it `keras.utils.set_random_seed` does.
        **kwargs: What `keras.Model` takes, such as `name`.

    Raises:
        ValueError: For a discriminator that does not fit, networks that share weights, negative weights, settings of a
            `VAE` that have no meaning here, and as `VAE` does.
        RuntimeError: On another backend than TensorFlow.

    Example:
        >>> encoder, decoder = networks.conv_encoder((28, 28, 1), 16), networks.conv_decoder((28, 28, 1), 16)
        >>> vaegan = VAEGAN(encoder, decoder, networks.conv_discriminator((28, 28, 1)))
        >>> vaegan.compile(*(keras.optimizers.Adam(5e-4, beta_1=0.5) for _ in range(3)), jit_compile=False)
        >>> vaegan.fit(images.x_train, epochs=25, batch_size=64, validation_data=images.x_test)
        >>> digits = vaegan.decoder.predict(np.random.normal(size=(100, 16)))
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        discriminator: keras.Model,
        beta: float = 16.0,
        feature_weight: float = 10.0,
        reconstruction_loss: Callable = losses.bernoulli,
        seed: int | None = None,
        **kwargs,
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                f"Keras runs on {keras.backend.backend()}, but {type(self).__name__} has its train_step, with three "
                "optimizers, on TensorFlow alone. Set KERAS_BACKEND=tensorflow before keras is imported."
            )
        super().__init__(encoder, decoder, beta, reconstruction_loss, **kwargs)
        for name, default in (("samples", 1), ("reconstruction_weight", 1), ("free_nats", 0)):
            if getattr(self, name) != default:
                raise ValueError(f"{name} is {getattr(self, name)}, but a VAEGAN has none. Leave it at {default}.")
        _check_discriminator(discriminator, encoder, decoder)
        self.discriminator = discriminator
        self.feature_weight = checked_number("feature_weight", feature_weight)
        self.prior = Sampling(seed=seed)
        names = [f"{network}_loss" for network in NETWORKS] + ["feature_loss"]
        self.own_trackers = [Mean(name=name) for name in names]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers of the three losses and of their terms, which Keras resets before every epoch."""
        return [*self.own_trackers, self.kl_loss_tracker, self.reconstruction_loss_tracker]

    def compile(
        self,
        encoder_optimizer: Any,
        decoder_optimizer: Any,
        discriminator_optimizer: Any,
        **kwargs,
    ) -> None:
        """Give each network its optimizer.

        Args:
            encoder_optimizer: An optimizer of Keras, or its name.
            decoder_optimizer: Another one.
            discriminator_optimizer: A third one.
            **kwargs: What else `keras.Model.compile` takes, such as `run_eagerly` and `jit_compile`.

        Raises:
            ValueError: For an optimizer that is given twice.
        """
        given = (encoder_optimizer, decoder_optimizer, discriminator_optimizer)
        optimizers = [keras.optimizers.get(optimizer) for optimizer in given]
        if len({id(optimizer) for optimizer in optimizers}) < len(optimizers):
            raise ValueError(
                f"The optimizers are {given}, and one is given twice, but it has the state of one network alone. "
                "Expected three: compile(Adam(5e-4), Adam(5e-4), Adam(5e-4))."
            )
        super().compile(optimizer=None, **kwargs)
        for name, optimizer in zip(NETWORKS, optimizers):
            if self.dtype_policy.name == "mixed_float16" and not isinstance(optimizer, LossScaleOptimizer):
                optimizer = LossScaleOptimizer(optimizer)
            optimizer.build(getattr(self, name).trainable_weights)
            setattr(self, f"{name}_optimizer", optimizer)

    def loss_terms(self, images: Any, training: bool) -> dict:
        """Compute the loss of each network and its terms.

        Args:
            images: A batch, (n, height, width, channels), in [0, 1].
            training: Whether dropout, noise, batch and spectral normalisation behave as in training.

        Returns:
            The values of all metrics, each of shape (n,).
        """
        z_mean, z_log_var, z = self.encoder(images, training=training)
        draws = self.prior(ops.zeros_like(z_mean), ops.zeros_like(z_log_var))
        reconstruction, drawn = (self.decoder(latents, training=training) for latents in (z, draws))
        pixels = ops.concatenate([ops.cast(part, "float32") for part in (images, reconstruction, drawn)])

        # Encoder and decoder look through a discriminator that holds still.
        features, logits = self.discriminator(pixels, training=False)
        seen, reconstructed, _ = ops.split(features, 3)
        _, of_reconstruction, of_drawn = _three(logits)
        feature_loss = losses.gaussian(seen, reconstructed) / 2
        count = math.prod(features.shape[1:])
        variance = ops.stop_gradient(2 * ops.mean(feature_loss) / count)
        like = feature_loss / ops.maximum(variance, LEAST_VARIANCE)
        kl_loss = losses.kl_divergence(z_mean, z_log_var)
        encoder_loss = like + self._beta * kl_loss
        decoder_loss = self.feature_weight * like / count + ops.softplus(-of_reconstruction) + ops.softplus(-of_drawn)

        # The discriminator learns from fakes that are cut off from the networks that made them.
        _, logits = self.discriminator(ops.stop_gradient(pixels), training=training)
        of_image, of_reconstruction, of_drawn = _three(logits)
        of_fakes = (ops.softplus(of_reconstruction) + ops.softplus(of_drawn)) / 2
        return {
            "encoder_loss": encoder_loss + sum(self.encoder.losses),
            "decoder_loss": decoder_loss + sum(self.decoder.losses),
            "discriminator_loss": ops.softplus(-of_image) + of_fakes + sum(self.discriminator.losses),
            "feature_loss": feature_loss,
            "kl_loss": kl_loss,
            "reconstruction_loss": self.reconstruction_loss(images, reconstruction),
        }

    def train_step(self, data: Any) -> dict:
        """Take one step of each network down the gradient of its own loss, and return the means of the epoch so far."""
        steps = [(getattr(self, f"{name}_optimizer"), getattr(self, name).trainable_weights) for name in NETWORKS]
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(self.batch_of(data), training=True)
            scaled = [
                optimizer.scale_loss(ops.mean(terms[f"{name}_loss"])) for name, (optimizer, _) in zip(NETWORKS, steps)
            ]
        gradients = [tape.gradient(loss, weights) for loss, (_, weights) in zip(scaled, steps)]
        for (optimizer, weights), gradient in zip(steps, gradients):
            optimizer.apply(gradient, weights)
        return self.track(**terms)

    def get_config(self) -> dict:
        """Name what the model is made of, so that it can be saved."""
        discriminator = keras.saving.serialize_keras_object(self.discriminator)
        own = {"discriminator": discriminator, "feature_weight": self.feature_weight, "seed": self.prior.seed}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict) -> "VAEGAN":
        """Make the model of which `get_config` gave the configuration."""
        discriminator = keras.saving.deserialize_keras_object(config["discriminator"])
        return super().from_config({**config, "discriminator": discriminator})

    def get_compile_config(self) -> dict:
        """Name the three optimizers and what else `compile` was given, so that training goes on after loading."""
        config = super().get_compile_config()
        if not config:
            return config
        del config["optimizer"]
        optimizers = {f"{name}_optimizer": getattr(self, f"{name}_optimizer") for name in NETWORKS}
        return {**config, **{name: keras.saving.serialize_keras_object(each) for name, each in optimizers.items()}}

    def compile_from_config(self, config: dict) -> None:
        """Compile the model as `get_compile_config` says."""
        self.compile(**keras.saving.deserialize_keras_object(config))


def _three(logits):
    # Of the images, their reconstructions, and what was drawn.
    return ops.split(ops.cast(logits[:, 0], "float32"), 3)


def _check_discriminator(discriminator, encoder, decoder) -> None:
    images = tuple(encoder.inputs[0].shape)
    if not isinstance(discriminator, keras.Model) or not hasattr(discriminator, "output_shape"):
        raise ValueError(
            f"discriminator is {discriminator!r}. Expected a functional Keras model, images -> features and a logit, "
            "as networks.conv_discriminator makes."
        )
    taken, given = ([tuple(x.shape) for x in part] for part in (discriminator.inputs, discriminator.outputs))
    if taken != [images] or len(given) != 2 or None in given[0][1:] or given[1] != (None, 1):
        raise ValueError(
            f"discriminator takes {taken} and gives {given}. Expected images {images}, as the encoder takes, and two "
            "outputs: features of a known shape, and one logit, (None, 1)."
        )
    weights = [id(weight) for network in (encoder, decoder, discriminator) for weight in network.weights]
    if len(set(weights)) < len(weights):
        raise ValueError(
            "encoder, decoder and discriminator share weights, and each learns from its own loss. Expected three "
            "networks with weights of their own; tied weights do not fit here."
        )
