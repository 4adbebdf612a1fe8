"""What the bench times: networks, the class that trains them, the batch, and how the step is compiled."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from benchmarks import peers
from vae_keras import VAE, networks

SHAPE = (28, 28, 1)


def dense_networks(*hidden: int, activation: str = "gelu") -> tuple[keras.Model, keras.Model]:
    """Build this project's dense networks with two latents, of these hidden widths in the encoder."""
    return (
        networks.dense_encoder(SHAPE, hidden=hidden, activation=activation),
        networks.dense_decoder(SHAPE, hidden=hidden[::-1], activation=activation),
    )


def relu_networks() -> tuple[keras.Model, keras.Model]:
    """Build the dense networks on which two classes are compared."""
    return dense_networks(512, 256, activation="relu")


def own_dense_networks() -> tuple[keras.Model, keras.Model]:
    """Build the dense networks of this project's record on MNIST."""
    return dense_networks(512, 256, 128)


def own_conv_networks() -> tuple[keras.Model, keras.Model]:
    """Build this project's convolutional networks as they come."""
    return networks.conv_encoder(SHAPE), networks.conv_decoder(SHAPE)


@dataclass(frozen=True)
class Contender:
    """One training that the bench times: Adam, one pass over the images, float32.

    Args:
        group: Contenders of a group train the same networks with the same batches.
        networks: What makes an encoder and a decoder.
        model: The class that trains them: (encoder, decoder) -> a Keras model. None for plain PyTorch.
        backend: What Keras runs on: tensorflow, jax or torch.
        batch_size: Images a step.
        compiled: Arguments of `compile`.
    """

    group: str
    networks: Callable[[], tuple[keras.Model, keras.Model]]
    model: Callable | None = VAE
    backend: str = "tensorflow"
    batch_size: int = 128
    compiled: dict = field(default_factory=dict)


KERAS, DENSE, FIRST, SECOND, TORCH, OWN = (
    "the networks of the Keras example",
    "dense 512-256, ReLU",
    "Foster 2019, digits",
    "Foster 2023, Fashion-MNIST",
    "PyTorch's example, dense 400",
    "this project's networks",
)
PLAIN = {"jit_compile": False}
TWENTY = {"jit_compile": False, "steps_per_execution": 20}

# The first of each group is what the others are compared with.
CONTENDERS = {
    "Keras example": Contender(KERAS, peers.keras_example_networks, peers.KerasExample),
    "VAE": Contender(KERAS, peers.keras_example_networks, compiled=PLAIN),
    "VAE, 20 steps a call": Contender(KERAS, peers.keras_example_networks, compiled=TWENTY),
    "VAE, XLA": Contender(KERAS, peers.keras_example_networks, compiled={"jit_compile": True}),
    "VAE on JAX": Contender(KERAS, peers.keras_example_networks, backend="jax"),
    "VAE on PyTorch": Contender(KERAS, peers.keras_example_networks, backend="torch"),
    "dense, Keras example": Contender(DENSE, relu_networks, peers.KerasExample),
    "dense, VAE": Contender(DENSE, relu_networks, compiled=PLAIN),
    "dense, VAE, 20 steps a call": Contender(DENSE, relu_networks, compiled=TWENTY),
    "dense, VAE, XLA": Contender(DENSE, relu_networks, compiled={"jit_compile": True}),
    "dense, VAE on JAX": Contender(DENSE, relu_networks, backend="jax"),
    "dense, VAE on PyTorch": Contender(DENSE, relu_networks, backend="torch"),
    "Foster 2019": Contender(FIRST, peers.first_foster_networks, peers.FirstFoster, batch_size=32),
    "Foster 2019, VAE": Contender(FIRST, peers.first_foster_networks, batch_size=32, compiled=TWENTY),
    "Foster 2023": Contender(SECOND, peers.second_foster_networks, peers.SecondFoster, batch_size=100),
    "Foster 2023, VAE": Contender(SECOND, peers.second_foster_networks, batch_size=100, compiled=TWENTY),
    "PyTorch's example": Contender(TORCH, peers.torch_example_networks, None, backend="torch"),
    "PyTorch's example, VAE": Contender(TORCH, peers.torch_example_networks, compiled=TWENTY),
    "own, convolutional": Contender(OWN, own_conv_networks, batch_size=64, compiled=PLAIN),
    "own, dense 512-256-128": Contender(OWN, own_dense_networks, batch_size=256, compiled=PLAIN),
}


def trainer(contender: Contender, images: np.ndarray) -> tuple[Callable[[int], object], keras.Model, keras.Model]:
    """Build a contender.

    Args:
        contender: Which.
        images: (n, 28, 28, 1), float32, in [0, 1]. Networks for larger ones get a black border around them.

    Returns:
        A function that trains once on the first images, as many as it is told, and the two networks.
    """
    encoder, decoder = contender.networks()
    border = (encoder.input_shape[1] - images.shape[1]) // 2
    images = np.pad(images, ((0, 0), (border, border), (border, border), (0, 0)))
    if contender.model is None:
        step = peers.torch_example()
        return lambda count: step(images[:count], contender.batch_size), encoder, decoder
    model = contender.model(encoder, decoder)
    model.compile(keras.optimizers.Adam(1e-3), **contender.compiled)
    return lambda count: model.fit(images[:count], batch_size=contender.batch_size, verbose=0), encoder, decoder
