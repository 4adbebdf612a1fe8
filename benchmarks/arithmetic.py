"""How many operations a training takes for each image, counted from the layers."""

import math

import keras
from keras import layers


def training_operations(encoder: keras.Model, decoder: keras.Model) -> int:
    """Count the floating point operations of one step of training, for each image.

    A multiplication and an addition are two. Only layers with a kernel count, as they do nearly all the work: the pass
    forward takes each kernel once, the pass backward twice, for the gradient of the kernel and for that of what comes
    in. The first layer needs no gradient of the image.

    Args:
        encoder: A functional model, images -> latents.
        decoder: A functional model, z -> images.

    Returns:
        Operations per image.

    Raises:
        ValueError: For a layer with a kernel whose work is not known.
    """
    forward = sum(_operations(layer) for network in (encoder, decoder) for layer in network.layers)
    first = next(filter(None, map(_operations, encoder.layers)))
    return 3 * forward - first


def _operations(layer: keras.layers.Layer) -> int:
    if not hasattr(layer, "kernel"):
        return 0
    # A transposed convolution takes its kernel at every place of what comes in, a convolution of what goes out.
    if isinstance(layer, (layers.Dense, layers.Conv2DTranspose)):
        places = layer.input.shape[1:-1]
    elif isinstance(layer, layers.Conv2D):
        places = layer.output.shape[1:-1]
    else:
        raise ValueError(f"{layer.name} is of type {type(layer).__name__}, whose operations are not counted here.")
    return 2 * math.prod(layer.kernel.shape) * math.prod(places)
