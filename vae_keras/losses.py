"""The terms of the loss, each in nats for every image: sums over pixels or latents, shape (n,).

The mean over the batch is left to the caller, because a metric over a whole data set needs one value per image. Beside
each reconstruction loss stands the log-likelihood log p(x|z) that belongs to it, as its attribute `log_likelihood`.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import keras
from keras import ops

# Probabilities are kept this far from 0 and 1, so that a logarithm is never infinite: at most 16.1 nats a pixel.
PROBABILITY_MARGIN = 1e-7
# Above this log variance the KL term goes on linearly. exp(89) does not fit into float32, and the squares of gradients,
# which Adam and clipping by norm take, do not from about half of that.
LARGEST_LOG_VAR = 20.0


@keras.saving.register_keras_serializable(package="vae_keras")
def bernoulli(images: Any, reconstruction: Any) -> Any:
    """Binary cross-entropy summed over pixels: -sum x log p + (1 - x) log(1 - p).

    For black and white images it is the negative Bernoulli log-likelihood (Kingma and Welling 2014, appendix C.1). For
    grey images it is not a likelihood and does not reach 0: its floor is the entropy of the pixels,
    `bernoulli(images, images)`.

    Args:
        images: (n, height, width, channels), in [0, 1].
        reconstruction: The same shape, probabilities.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    x, p = _of_one_shape(images, reconstruction)
    p = ops.clip(p, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return -_sum_per_image(x * ops.log(p) + (1 - x) * ops.log(1 - p))


def bernoulli_log_likelihood(images: Any, reconstruction: Any) -> Any:
    """Compute log p(x|z) of black and white pixels: the negative of `bernoulli`.

    Args:
        images: (n, height, width, channels), 0 or 1.
        reconstruction: The same shape, probabilities.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For grey images, whose cross-entropy is no log-likelihood, and for two different shapes.
    """
    x = ops.cast(images, "float32")
    if ops.any((x != 0) & (x != 1)):
        raise ValueError(
            "images hold grey pixels, and the cross-entropy of a grey pixel is no log-likelihood. Expected pixels of 0 "
            "and 1: draw them with data.binarise(images, seed=0)."
        )
    return -bernoulli(images, reconstruction)


@keras.saving.register_keras_serializable(package="vae_keras")
def gaussian(images: Any, reconstruction: Any) -> Any:
    """Squared error summed over pixels: sum (x - x')^2.

    It is the negative log-likelihood of a Gaussian with sigma^2 = 1/2 around the reconstruction, less its constant of
    log(pi) / 2 per pixel. A mean over pixels instead of the sum would give the KL term too large a weight.

    Args:
        images: (n, height, width, channels).
        reconstruction: The same shape.

    Returns:
        Nats per image up to that constant, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    x, mean = _of_one_shape(images, reconstruction)
    return _sum_per_image(ops.square(x - mean))


def gaussian_log_likelihood(images: Any, reconstruction: Any) -> Any:
    """Compute log p(x|z) of a Gaussian with sigma^2 = 1/2: the negative of `gaussian`, with its constant.

    Args:
        images: (n, height, width, channels).
        reconstruction: The same shape.

    Returns:
        Nats per image, (n,), in float32.

    Raises:
        ValueError: For two different shapes.
    """
    pixels = math.prod(_of_one_shape(images, reconstruction)[0].shape[1:])
    return -gaussian(images, reconstruction) - math.log(math.pi) / 2 * pixels


bernoulli.log_likelihood = bernoulli_log_likelihood
gaussian.log_likelihood = gaussian_log_likelihood


@keras.saving.register_keras_serializable(package="vae_keras")
class LearnedGaussian(keras.layers.Layer):
    """Negative log-likelihood of a Gaussian around the reconstruction, whose sigma is learned, in nats.

    Sum over pixels of (x - x')^2 / (2 sigma^2) + log sigma + log(2 pi) / 2, with one sigma for all pixels: a weight
    that `fit` trains with the others. For a given mean squared error per pixel the best sigma is its root (Rybkin et
    al. 2021, equation 5). It takes images and reconstruction, (n, height, width, channels), and returns nats per image,
    (n,).

    Args:
        sigma: The value that it begins with, by default that of `gaussian`.
        **kwargs: What `keras.layers.Layer` takes, such as `name`.

    Raises:
        ValueError: For a sigma that is not positive and finite; when called, for two different shapes.

    Example:
        >>> vae = VAE(encoder, decoder, reconstruction_loss=losses.LearnedGaussian())
        >>> vae.compile("adam")
        >>> vae.fit(images.x_train, epochs=30)
        >>> vae.reconstruction_loss.sigma
    """

    def __init__(self, sigma: float = 0.5**0.5, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not isinstance(sigma, Real) or not 0 < sigma < math.inf:
            raise ValueError(f"sigma is {sigma!r}. Expected a positive number, the standard deviation of a pixel.")
        self.log_sigma = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(math.log(sigma)), name="log_sigma"
        )

    @property
    def sigma(self) -> float:
        """The standard deviation of a pixel around its reconstruction."""
        return math.exp(float(self.log_sigma))

    def call(self, images: Any, reconstruction: Any) -> Any:
        """Compute the negative log-likelihood, (n,), in nats per image."""
        x, mean = _of_one_shape(images, reconstruction)
        precision = ops.exp(-2 * self.log_sigma)
        return _sum_per_image(0.5 * precision * ops.square(x - mean) + self.log_sigma + 0.5 * math.log(2 * math.pi))

    def log_likelihood(self, images: Any, reconstruction: Any) -> Any:
        """Compute log p(x|z), (n,), in nats per image: the negative of the loss."""
        return -self(images, reconstruction)

    def get_config(self) -> dict:
        """Name the sigma, so that the loss can be saved."""
        return {**super().get_config(), "sigma": self.sigma}


@keras.saving.register_keras_serializable(package="vae_keras")
class Perceptual(keras.layers.Layer):
    """Squared error between what a fixed network sees in the images and in their reconstructions.

    The feature perceptual loss of Hou et al. 2016: half the sum, over the chosen layers and the features of each, of
    weight * (f(x) - f(x'))^2. They divide by the number of features; this is a sum, as all losses here. It is the
    negative log-likelihood of features with the variance 1 / weight, less a constant, and no likelihood of pixels. A
    larger weight is a smaller beta.

    It takes images and reconstruction, (n, height, width, channels), in [0, 1], and returns nats per image up to that
    constant, (n,). Images with one channel are repeated where the network takes three.

    The network is copied up to the last of the layers, with its weights as they are. The copy never learns, and its
    batch normalisation and dropout are always those of inference, also where the VAE is set trainable.

    Args:
        network: Functional or sequential model with one input, images: `classifier.train_classifier` makes one, and
            those of `keras.applications` fit, best with `include_top=False`, which takes images of any size.
        layers: The names of layers whose outputs are compared, such as ("hidden_1", "hidden_2", "hidden_3").
        layer_weights: A weight for each of the layers, 0 or more; None for 1 each.
        preprocess: What the network wants to be done first, a function of images with pixels from 0 to 255, such as
            `keras.applications.vgg19.preprocess_input`. It may resize them. A function of your own has to be registered
            with `keras.saving.register_keras_serializable` to be saved. None gives pixels in [0, 1] to the network.
        **kwargs: What `keras.layers.Layer` takes, such as `name`.

    Raises:
        ValueError: For a network without a single input, layers that it does not have, no layers, and weights that are
            negative or not as many as layers. When called, as for instance by the constructor of a `VAE`, for two
            different shapes, images that the network does not take, and images so small that no features are left.

    Example:
        >>> network = classifier.train_classifier(images.x_train, images.y_train)
        >>> vae = VAE(encoder, decoder, reconstruction_loss=losses.Perceptual(network, ("hidden_1", "hidden_2")))
        >>> vgg = keras.applications.VGG19(include_top=False)
        >>> layers, preprocess = ("block1_conv1", "block2_conv1"), keras.applications.vgg19.preprocess_input
        >>> of_colours = losses.Perceptual(vgg, layers, preprocess=preprocess)
    """

    def __init__(
        self,
        network: keras.Model,
        layers: Sequence[str],
        layer_weights: Sequence[float] | None = None,
        preprocess: Callable | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs, "trainable": False})
        _check_seen(network, layers, preprocess)
        self.layer_names = tuple(layers)
        self.layer_weights = _layer_weights(layer_weights, self.layer_names)
        self.preprocess = preprocess
        self.network = _frozen_copy(network, self.layer_names)

    @property
    def trainable(self) -> bool:
        """False, always."""
        return False

    @trainable.setter
    def trainable(self, value: bool):
        # A model that is set trainable sets all of its layers, and would wake the network.
        pass

    def call(self, images: Any, reconstruction: Any) -> Any:
        """Compute the loss, (n,), in nats per image up to a constant."""
        both = (self._features(x) for x in _of_one_shape(images, reconstruction))
        return 0.5 * sum(
            weight * gaussian(*features) for weight, *features in zip(self.layer_weights, *both, strict=True)
        )

    def _features(self, images):
        expected = self.network.inputs[0].shape
        if images.shape[-1] == 1 and expected[-1] == 3:
            images = ops.repeat(images, 3, axis=-1)
        if self.preprocess is not None:
            images = self.preprocess(255 * images)
        _check_fit(self.network, self.layer_names, tuple(images.shape))
        return keras.tree.flatten(self.network(images, training=False))

    def get_config(self) -> dict:
        """Name what the loss is made of, so that it can be saved."""
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "layers": self.layer_names,
            "layer_weights": self.layer_weights,
            "preprocess": _serialized(self.preprocess),
        }

    @classmethod
    def from_config(cls, config: dict) -> "Perceptual":
        """Make the loss of which `get_config` gave the configuration."""
        network, preprocess = keras.saving.deserialize_keras_object(config["network"]), config["preprocess"]
        if isinstance(preprocess, str):
            preprocess = getattr(keras.applications, preprocess).preprocess_input
        else:
            preprocess = keras.saving.deserialize_keras_object(preprocess)
        return cls(**{**config, "network": network, "preprocess": preprocess})


def kl_divergence(z_mean: Any, z_log_var: Any) -> Any:
    """Compute KL(N(z_mean, exp(z_log_var)) || N(0, 1)), summed over latents.

    1/2 sum (exp(z_log_var) + z_mean^2 - 1 - z_log_var): Kingma and Welling 2014, appendix B. Exact up to
    z_log_var = 20, a standard deviation of 22,026; finite and rising beyond.

    Args:
        z_mean: Means, (n, latent_dim).
        z_log_var: Logarithms of the variances, (n, latent_dim).

    Returns:
        Nats per image, (n,), in float32.
    """
    return _sum_per_image(kl_by_latent(z_mean, z_log_var))


def kl_by_latent(z_mean: Any, z_log_var: Any) -> Any:
    """Compute what each latent adds to `kl_divergence`.

    Args:
        z_mean: Means, (n, latent_dim).
        z_log_var: Logarithms of the variances, (n, latent_dim).

    Returns:
        Nats per image and latent, (n, latent_dim), in float32.
    """
    mean, log_var = ops.cast(z_mean, "float32"), ops.cast(z_log_var, "float32")
    variance = ops.exp(ops.minimum(log_var, LARGEST_LOG_VAR)) * (1 + ops.maximum(log_var - LARGEST_LOG_VAR, 0))
    return 0.5 * (variance + ops.square(mean) - 1 - log_var)


def _of_one_shape(images, reconstruction):
    # Of unlike shapes one would be spread over the other's axes, and the sum would have too many terms.
    x, y = ops.cast(images, "float32"), ops.cast(reconstruction, "float32")
    shapes = tuple(x.shape), tuple(y.shape)
    # A batch whose length is not known yet is None.
    if len(shapes[0]) != len(shapes[1]) or any(a != b and None not in (a, b) for a, b in zip(*shapes)):
        raise ValueError(
            f"images have shape {shapes[0]} but reconstruction {shapes[1]}. Expected the same shape in both."
        )
    return x, y


def _sum_per_image(values):
    return ops.sum(values, axis=tuple(range(1, len(values.shape))))


def _frozen_copy(network, layers):
    # Up to the last of the layers. A copy, so that the network itself can be trained on.
    outputs = [network.get_layer(name).output for name in layers]
    features = keras.Model(network.inputs[0], outputs, name=network.name)
    copy = keras.models.clone_model(features)
    copy.set_weights(features.get_weights())
    copy.trainable = False
    return copy


def _check_seen(network, layers, preprocess) -> None:
    if not isinstance(network, keras.Model) or not getattr(network, "inputs", None):
        raise ValueError(
            f"network is {network!r}. Expected a functional or sequential Keras model that knows its input, as "
            "classifier.train_classifier and keras.applications make."
        )
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4:
        raise ValueError(
            f"network takes {[tuple(taken.shape) for taken in network.inputs]}. Expected images alone, "
            "(None, height, width, channels)."
        )
    known = [layer.name for layer in network.layers]
    if not isinstance(layers, (list, tuple)) or not layers or any(name not in known for name in layers):
        raise ValueError(
            f"layers are {layers!r}. Expected a list of names of layers of {network.name!r}, such as "
            f"{', '.join(known[1:9])}."
        )
    if preprocess is not None and not callable(preprocess):
        raise ValueError(
            f"preprocess is {preprocess!r}. Expected None or a function of images with pixels from 0 to 255, such as "
            "keras.applications.vgg19.preprocess_input."
        )


def _check_fit(network, layers, shape) -> None:
    expected = network.inputs[0].shape
    if len(shape) != 4 or any(taken not in (None, size) for taken, size in zip(expected[1:], shape[1:])):
        raise ValueError(
            f"{network.name!r} takes {expected} but gets images of shape {shape}. Expected images that it takes: make "
            "the network for their shape, or resize them in preprocess; one channel becomes three by itself."
        )
    try:
        network.compute_output_shape(shape)
    except ValueError as error:
        raise ValueError(
            f"Of images of shape {shape} nothing is left after the layers {', '.join(layers)} of {network.name!r}. "
            "Expected larger images, or layers further in front."
        ) from error


def _serialized(preprocess):
    # Keras does not find its own functions again: all of its networks call theirs preprocess_input.
    module = getattr(preprocess, "__module__", "")
    if module.startswith("keras.src.applications."):
        return module.rpartition(".")[2]
    return keras.saving.serialize_keras_object(preprocess)


def _layer_weights(layer_weights, layers) -> tuple[float, ...]:
    weights = (1.0,) * len(layers) if layer_weights is None else layer_weights
    numbers = isinstance(weights, (list, tuple)) and all(isinstance(w, Real) and 0 <= w < math.inf for w in weights)
    if not numbers or len(weights) != len(layers):
        raise ValueError(
            f"layer_weights are {layer_weights!r}. Expected a number, 0 or more, for each of the {len(layers)} layers "
            f"{', '.join(layers)}."
        )
    return tuple(float(weight) for weight in weights)
