"""Encoders, decoders and a discriminator, as functional Keras models into which the activation is injected."""

import inspect
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import keras
from keras import layers

from vae_keras.sampling import Sampling
from vae_keras.tied import TiedDense

Activation = str | Callable
# The layers that hold the activations of hidden units are called hidden_1, hidden_2 ...: `activity` finds them by it.
HIDDEN = "hidden"


def dense_encoder(
    shape: Sequence[int],
    latent_dim: int = 2,
    hidden: Sequence[int] = (512, 256),
    activation: Activation = "gelu",
    variational: bool = True,
    noise: float = 0.0,
    seed: int | None = None,
    classes: int | None = None,
) -> keras.Model:
    """Build an encoder from dense layers: image -> z_mean, z_log_var, z.

    Args:
        shape: That of one image, (height, width, channels).
        latent_dim: The number of latents.
        hidden: The widths of the hidden layers, in order.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        variational: Whether to end in z_mean, z_log_var and z, as a VAE needs, or in z alone.
        noise: The standard deviation of normal noise on the images, in training alone: a denoising autoencoder (Vincent
            et al. 2008).
        seed: Fixes the initial weights and all noise. Without it `keras.utils.set_random_seed` does.
        classes: The number of classes, for a `ConditionalVAE`: beside the images the encoder takes the class of each, a
            whole number from 0 on. None for images alone.

    Returns:
        A functional model that takes (n, height, width, channels), with `classes` also (n,), and gives (n, latent_dim)
        each.

    Raises:
        ValueError: For an unknown activation, a shape without channels, sizes that are no whole numbers above 0, noise
            outside [0, 1], and a seed that is no whole number.
    """
    _check_sizes(shape=shape, latent_dim=latent_dim, classes=classes, hidden=hidden)
    seeds = _seeds("encoder", seed)
    images = keras.Input(shape, name="image")
    x, inputs = _given_class(layers.Flatten()(_noisy(images, noise, seed)), images, classes)
    for number, units in enumerate(hidden, start=1):
        x = layers.Dense(units, kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, number)(x)
    return _encoder(inputs, x, latent_dim, variational, seeds, name="dense_encoder")


def dense_decoder(
    shape: Sequence[int],
    latent_dim: int = 2,
    hidden: Sequence[int] = (256, 512),
    activation: Activation = "gelu",
    output_activation: Activation = "sigmoid",
    seed: int | None = None,
    classes: int | None = None,
) -> keras.Model:
    """Build a decoder from dense layers: z -> image.

    Args:
        shape: That of one image, (height, width, channels).
        latent_dim: The number of latents.
        hidden: The widths of the hidden layers, in order.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        output_activation: Brings the pixels into [0, 1]; "linear" leaves them as they are, for squared errors only.
        seed: Fixes the initial weights. Without it `keras.utils.set_random_seed` does.
        classes: The number of classes, for a `ConditionalVAE`: beside z the decoder takes the class of each image, a
            whole number from 0 on. None for z alone.

    Returns:
        A functional model that takes (n, latent_dim), with `classes` also (n,), and gives (n, height, width, channels).

    Raises:
        ValueError: For an unknown activation, a shape without channels, sizes that are no whole numbers above 0, and a
            seed that is no whole number.
    """
    _check_sizes(shape=shape, latent_dim=latent_dim, classes=classes, hidden=hidden)
    seeds = _seeds("decoder", seed)
    z = keras.Input((latent_dim,), name="z")
    x, inputs = _given_class(z, z, classes)
    for number, units in enumerate(hidden, start=1):
        x = layers.Dense(units, kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, number)(x)
    height, width, channels = shape
    x = layers.Dense(height * width * channels, kernel_initializer=_glorot(seeds))(x)
    x = layers.Reshape(tuple(shape))(x)
    return keras.Model(inputs, _pixels(x, output_activation), name="dense_decoder")


def tied_decoder(
    encoder: keras.Model, activation: Activation = "gelu", output_activation: Activation = "sigmoid"
) -> keras.Model:
    """Build a decoder from the kernels of a dense encoder, transposed and in reverse order: z -> image.

    The biases are its own. Of an encoder with z_mean and z_log_var, z_mean's kernel comes first.

    Args:
        encoder: A dense encoder, as `dense_encoder` makes.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        output_activation: Brings the pixels into [0, 1]; "linear" leaves them as they are, for squared errors only.

    Returns:
        A functional model that takes (n, latent_dim) and gives images of the shape that the encoder takes.

    Raises:
        ValueError: For an encoder that is no dense network, and for an unknown activation.
    """
    if not isinstance(encoder, keras.Model):
        raise ValueError(f"encoder is {encoder!r}. Expected a network, as networks.dense_encoder makes.")
    with_kernel = [layer for layer in encoder.layers if hasattr(layer, "kernel") and layer.name != "z_log_var"]
    others = [layer for layer in with_kernel if not isinstance(layer, layers.Dense)]
    if others or not with_kernel or len(encoder.inputs) > 1:
        raise ValueError(
            f"encoder has the layers {[layer.name for layer in others or encoder.layers]}. Expected dense layers "
            "alone, as networks.dense_encoder makes: only their kernels can be transposed."
        )
    z = x = keras.Input((with_kernel[-1].units,), name="z")
    for number, source in enumerate(with_kernel[:0:-1], start=1):
        x = TiedDense(source)(x)
        x = _hidden(activation, number)(x)
    x = TiedDense(with_kernel[0])(x)
    x = layers.Reshape(encoder.input_shape[1:])(x)
    return keras.Model(z, _pixels(x, output_activation), name="tied_decoder")


def conv_encoder(
    shape: Sequence[int],
    latent_dim: int = 2,
    filters: Sequence[int] = (16, 32),
    hidden: Sequence[int] = (128,),
    activation: Activation = "gelu",
    variational: bool = True,
    noise: float = 0.0,
    seed: int | None = None,
    classes: int | None = None,
) -> keras.Model:
    """Build an encoder from convolutions that each halve height and width: image -> z_mean, z_log_var, z.

    Args:
        shape: That of one image, (height, width, channels).
        latent_dim: The number of latents.
        filters: The channels of the 3 x 3 convolutions of stride 2, in order.
        hidden: The widths of the dense layers after them.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        variational: Whether to end in z_mean, z_log_var and z, as a VAE needs, or in z alone.
        noise: The standard deviation of normal noise on the images, in training alone: a denoising autoencoder (Vincent
            et al. 2008).
        seed: Fixes the initial weights and all noise. Without it `keras.utils.set_random_seed` does.
        classes: The number of classes, for a `ConditionalVAE`: beside the images the encoder takes the class of each, a
            whole number from 0 on. None for images alone.

    Returns:
        A functional model that takes (n, height, width, channels), with `classes` also (n,), and gives (n, latent_dim)
        each.

    Raises:
        ValueError: For an unknown activation, a shape without channels, sizes that are no whole numbers above 0, noise
            outside [0, 1], and a seed that is no whole number.
    """
    _check_sizes(shape=shape, latent_dim=latent_dim, classes=classes, filters=filters, hidden=hidden)
    seeds, numbers = _seeds("encoder", seed), itertools.count(1)
    images = keras.Input(shape, name="image")
    x = _noisy(images, noise, seed)
    for channels in filters:
        x = layers.Conv2D(channels, 3, strides=2, padding="same", kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, next(numbers))(x)
    x, inputs = _given_class(layers.Flatten()(x), images, classes)
    for units in hidden:
        x = layers.Dense(units, kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, next(numbers))(x)
    return _encoder(inputs, x, latent_dim, variational, seeds, name="conv_encoder")


def conv_decoder(
    shape: Sequence[int],
    latent_dim: int = 2,
    filters: Sequence[int] = (32, 16),
    hidden: Sequence[int] = (128,),
    activation: Activation = "gelu",
    output_activation: Activation = "sigmoid",
    seed: int | None = None,
    classes: int | None = None,
) -> keras.Model:
    """Build a decoder from transposed convolutions that each double height and width: z -> image.

    It mirrors `conv_encoder`: `hidden` dense layers, then one of the size of the smallest feature map, then one 3 x 3
    transposed convolution of stride 2 for each of `filters`, then one convolution to the channels of the image. What
    the doubling gives too much, for sides that no power of two divides, is cropped evenly.

    Args:
        shape: That of one image, (height, width, channels).
        latent_dim: The number of latents.
        filters: The channels of the transposed convolutions, in order.
        hidden: The widths of the dense layers before them.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        output_activation: Brings the pixels into [0, 1]; "linear" leaves them as they are, for squared errors only.
        seed: Fixes the initial weights. Without it `keras.utils.set_random_seed` does.
        classes: The number of classes, for a `ConditionalVAE`: beside z the decoder takes the class of each image, a
            whole number from 0 on. None for z alone.

    Returns:
        A functional model that takes (n, latent_dim), with `classes` also (n,), and gives (n, height, width, channels).

    Raises:
        ValueError: For an unknown activation, a shape without channels, sizes that are no whole numbers above 0, and a
            seed that is no whole number.
    """
    _check_sizes(shape=shape, latent_dim=latent_dim, classes=classes, filters=filters, hidden=hidden)
    seeds, numbers = _seeds("decoder", seed), itertools.count(1)
    height, width, channels = shape
    factor = 2 ** len(filters)
    small = (-(-height // factor), -(-width // factor), filters[0])
    z = keras.Input((latent_dim,), name="z")
    x, inputs = _given_class(z, z, classes)
    for units in (*hidden, small[0] * small[1] * small[2]):
        x = layers.Dense(units, kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, next(numbers))(x)
    x = layers.Reshape(small)(x)
    for count in filters:
        x = layers.Conv2DTranspose(count, 3, strides=2, padding="same", kernel_initializer=_glorot(seeds))(x)
        x = _hidden(activation, next(numbers))(x)
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=_glorot(seeds))(x)
    surplus = (small[0] * factor - height, small[1] * factor - width)
    if any(surplus):
        x = layers.Cropping2D(tuple((extra // 2, extra - extra // 2) for extra in surplus))(x)
    return keras.Model(inputs, _pixels(x, output_activation), name="conv_decoder")


def conv_discriminator(
    shape: Sequence[int],
    filters: Sequence[int] = (16, 32),
    hidden: Sequence[int] = (),
    activation: Activation = "leaky_relu",
    seed: int | None = None,
) -> keras.Model:
    """Build a discriminator for a `VAEGAN`: image -> the features of its last convolution, and a logit.

    It is a `conv_encoder` with one output, and with spectral normalisation in every layer (Miyato et al. 2018): each
    pass in training divides a kernel by its largest singular value, so that the logit cannot grow without limit. There
    is no batch normalisation, which would let an image's logit depend on the others in its batch. The default
    activation is LeakyReLU with the slope 0.2: GELU halves small values, and where no layer may enlarge them again,
    little is left for the decoder to learn from. It computes in float32 even under mixed precision.

    Args:
        shape: That of one image, (height, width, channels).
        filters: The channels of the 3 x 3 convolutions of stride 2, in order.
        hidden: The widths of the dense layers after them.
        activation: A name, a function, or a callable that makes a layer, such as `lambda: keras.layers.LeakyReLU(0.3)`.
        seed: Fixes the initial weights. Without it `keras.utils.set_random_seed` does.

    Returns:
        A functional model that takes (n, height, width, channels) and gives the activations after the last convolution,
        (n, smaller height, smaller width, filters[-1]), and the logit that an image is real, (n, 1).

    Raises:
        ValueError: For an unknown activation, a shape without channels, sizes that are no whole numbers above 0, and a
            seed that is no whole number.
    """
    _check_sizes(shape=shape, latent_dim=1, classes=None, filters=filters, hidden=hidden)
    seeds, numbers = _seeds("discriminator", seed), itertools.count(1)
    images = x = keras.Input(shape, name="image")
    for channels in filters:
        x = _spectral(layers.Conv2D, seeds, channels, 3, strides=2, padding="same")(x)
        x = _hidden(activation, next(numbers))(x)
    features, x = x, layers.Flatten()(x)
    for units in hidden:
        x = _spectral(layers.Dense, seeds, units)(x)
        x = _hidden(activation, next(numbers))(x)
    logit = _spectral(layers.Dense, seeds, 1)(x)
    network = keras.Model(images, [features, logit], name="conv_discriminator")
    for layer in network.layers:
        if isinstance(layer, layers.SpectralNormalization):
            # Keras draws the vector from which it finds the largest singular value without a seed.
            start = keras.initializers.RandomNormal(seed=next(seeds))
            layer.vector_u.assign(start(layer.vector_u.shape))
    return network


def activation_layer(activation: Activation) -> keras.layers.Layer:
    """Make a new layer of an activation.

    Args:
        activation: A Keras name, a function of one tensor, or a callable without arguments that makes a layer.

    Returns:
        A layer that no other place uses.

    Raises:
        ValueError: For an unknown name, and for a layer that is already made, which two places would share.
    """
    if isinstance(activation, str):
        try:
            return layers.Activation(keras.activations.get(activation))
        except ValueError as error:
            raise ValueError(
                f"Unknown activation {activation!r}. Expected a name that Keras knows, such as 'gelu' or 'relu', a "
                "function, or a callable that makes a layer, such as lambda: keras.layers.LeakyReLU(0.3)."
            ) from error
    if isinstance(activation, keras.layers.Layer) or not callable(activation):
        raise ValueError(
            f"activation is {activation!r}. Expected a name, a function, or a callable that makes a new layer for each "
            "place, such as keras.layers.PReLU or lambda: keras.layers.LeakyReLU(0.3)."
        )
    if not _makes_a_layer(activation):
        return layers.Activation(activation)
    layer = activation()
    # Only a layer that was called has an output.
    if not isinstance(layer, keras.layers.Layer) or hasattr(layer, "output"):
        raise ValueError(f"activation made {layer!r}. Expected a callable without arguments to make a new Keras layer.")
    return layer


def _makes_a_layer(activation: Callable) -> bool:
    if inspect.isclass(activation):
        return issubclass(activation, keras.layers.Layer)
    parameters = inspect.signature(activation).parameters.values()
    return not any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _given_class(x, first_input, classes) -> tuple[Any, Any]:
    # Put the class of each image, one-hot, beside x, and say what the network takes.
    if classes is None:
        return x, first_input
    label = keras.Input((), dtype="int32", name="label")
    one_hot = layers.CategoryEncoding(classes, output_mode="one_hot", name="one_hot")(label)
    return layers.Concatenate()([x, one_hot]), [first_input, label]


def _encoder(inputs, x, latent_dim, variational, seeds, name) -> keras.Model:
    # The heads stay in float32 under mixed precision: exp(z_log_var) would overflow float16.
    def head(name):
        return layers.Dense(latent_dim, kernel_initializer=_glorot(seeds), dtype="float32", name=name)(x)

    if not variational:
        return keras.Model(inputs, head("z"), name=name)
    z_mean, z_log_var = head("z_mean"), head("z_log_var")
    z = Sampling(seed=next(seeds), name="z")(z_mean, z_log_var)
    return keras.Model(inputs, [z_mean, z_log_var, z], name=name)


def _spectral(layer: type[layers.Layer], seeds, *sizes, **arguments) -> layers.Layer:
    # In float32: under mixed precision every pass would round the normalised kernels to half precision.
    inner = layer(*sizes, **arguments, kernel_initializer=_glorot(seeds), dtype="float32")
    return layers.SpectralNormalization(inner, dtype="float32")


def _hidden(activation: Activation, number: int) -> keras.layers.Layer:
    layer = activation_layer(activation)
    layer.name = f"{HIDDEN}_{number}"
    return layer


def _noisy(images, noise, seed):
    if not isinstance(noise, Real) or not 0 <= noise <= 1:
        raise ValueError(f"noise is {noise!r}. Expected a standard deviation from 0 to 1, in units of a white pixel.")
    # A seed of its own: with noise and without, the weights begin the same.
    return layers.GaussianNoise(noise, seed=next(_seeds("noise", seed)))(images) if noise else images


def _pixels(x, output_activation):
    layer = activation_layer(output_activation)
    # Under mixed precision too the pixels are float32.
    layer.name, layer.dtype_policy = "pixels", "float32"
    return layer(x)


def _glorot(seeds: Iterator[int | None]) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=next(seeds))


def _seeds(network: str, seed: int | None) -> Iterator[int | None]:
    # One seed a layer, unlike in the encoder and the decoder, and the same whatever the activation.
    if seed is not None and not isinstance(seed, Integral):
        raise ValueError(f"seed is {seed!r}. Expected a whole number, or None for that of keras.utils.set_random_seed.")
    generator = random.Random(f"{network} {seed}")
    while True:
        yield None if seed is None else generator.randrange(2**31)


def _check_sizes(shape: Any, latent_dim: Any, classes: Any, **widths: Any) -> None:
    def whole(sizes):
        return isinstance(sizes, (list, tuple)) and all(isinstance(size, Integral) and size > 0 for size in sizes)

    if not whole(shape) or len(shape) != 3:
        raise ValueError(
            f"shape is {shape!r}. Expected that of one image, (height, width, channels), such as (28, 28, 1)."
        )
    if not isinstance(latent_dim, Integral) or latent_dim < 1:
        raise ValueError(f"latent_dim is {latent_dim!r}. Expected a whole number, 1 or more.")
    if classes is not None and (not isinstance(classes, Integral) or classes < 2):
        raise ValueError(f"classes is {classes!r}. Expected how many there are, 2 or more, or None for no labels.")
    for name, sizes in widths.items():
        if not whole(sizes) or (name == "filters" and not sizes):
            raise ValueError(
                f"{name} is {sizes!r}. Expected one positive whole number for each layer, such as (64, 32)."
            )
