"""The recipes of other books and examples, written here from what they publish: networks, losses, batches, rates.

Each network takes images in [0, 1] and has two latents but for PyTorch's example, which has twenty. `KerasExample` and
the classes after it train them as their authors do, on TensorFlow; `torch_example` is plain PyTorch.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from vae_keras import Sampling


def keras_example_networks() -> tuple[keras.Model, keras.Model]:
    """Build the two networks of the Keras VAE example, of 69,076 and 65,089 weights."""
    image = keras.Input((28, 28, 1))
    x = _convolutions(image, layers.Conv2D, ((32, 2), (64, 2)), "relu")
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    encoder = _with_heads(image, x, 2)
    z = keras.Input((2,))
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(z))
    x = _convolutions(x, layers.Conv2DTranspose, ((64, 2), (32, 2)), "relu")
    return encoder, keras.Model(z, _convolutions(x, layers.Conv2DTranspose, ((1, 1),), "sigmoid"))


def first_foster_networks() -> tuple[keras.Model, keras.Model]:
    """Build the networks of the digits in the first edition of Generative Deep Learning (2019)."""
    image = keras.Input((28, 28, 1))
    slope = 0.3  # of the LeakyReLU layer of Keras, which the book takes as it is
    x = _convolutions(image, layers.Conv2D, ((32, 1), (64, 2), (64, 2), (64, 1)), slope)
    encoder = _with_heads(image, layers.Flatten()(x), 2)
    z = keras.Input((2,))
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64)(z))
    x = _convolutions(x, layers.Conv2DTranspose, ((64, 1), (64, 2), (32, 2)), slope)
    return encoder, keras.Model(z, _convolutions(x, layers.Conv2DTranspose, ((1, 1),), "sigmoid"))


def second_foster_networks() -> tuple[keras.Model, keras.Model]:
    """Build the networks of Fashion-MNIST, with a border of two pixels, in its second edition (2023)."""
    image = keras.Input((32, 32, 1))
    x = _convolutions(image, layers.Conv2D, ((32, 2), (64, 2), (128, 2)), "relu")
    encoder = _with_heads(image, layers.Flatten()(x), 2)
    z = keras.Input((2,))
    x = layers.Reshape((4, 4, 128))(layers.Dense(4 * 4 * 128)(z))
    x = _convolutions(x, layers.Conv2DTranspose, ((128, 2), (64, 2), (32, 2)), "relu")
    return encoder, keras.Model(z, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def torch_example_networks() -> tuple[keras.Model, keras.Model]:
    """Build the networks of PyTorch's VAE example in Keras, of 652,824 weights together."""
    image = keras.Input((28, 28, 1))
    encoder = _with_heads(image, layers.Dense(400, activation="relu")(layers.Flatten()(image)), 20)
    z = keras.Input((20,))
    x = layers.Dense(784, activation="sigmoid")(layers.Dense(400, activation="relu")(z))
    return encoder, keras.Model(z, layers.Reshape((28, 28, 1))(x))


class KerasExample(keras.Model):
    """A VAE that trains as the Keras example does: the sum over pixels of Keras' own cross-entropy, plus the KL term.

    Args:
        encoder: Images -> z_mean, z_log_var, z.
        decoder: z -> images.
    """

    def __init__(self, encoder: keras.Model, decoder: keras.Model):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "reconstruction_loss", "kl_loss")]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets before every epoch."""
        return self.trackers

    def terms(self, images):
        """Compute the mean loss of a batch and its two terms, in nats per image."""
        z_mean, z_log_var, z = self.encoder(images)
        reconstruction_loss = ops.mean(self.reconstruction_loss(images, self.decoder(z)))
        kl_loss = -0.5 * ops.sum(1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var), axis=1)
        kl_loss = ops.mean(kl_loss)
        return reconstruction_loss + kl_loss, reconstruction_loss, kl_loss

    def reconstruction_loss(self, images, reconstruction):
        """Sum the cross-entropy over the pixels: nats per image, (n,)."""
        return ops.sum(keras.losses.binary_crossentropy(images, reconstruction), axis=(1, 2))

    def train_step(self, data):
        """Take a step on TensorFlow."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            terms = self.terms(data)
        gradients = tape.gradient(terms[0], self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        return self.update(terms)

    def test_step(self, data):
        """Measure a batch, which the example does not."""
        return self.update(self.terms(data[0] if isinstance(data, tuple) else data))

    def update(self, terms):
        """Add the means of a batch, and return those of the epoch so far."""
        for tracker, term in zip(self.trackers, terms):
            tracker.update_state(term)
        return {tracker.name: tracker.result() for tracker in self.trackers}


class FirstFoster(KerasExample):
    """The loss of the first edition: 1000 times the mean squared error of the pixels, plus the KL term."""

    def reconstruction_loss(self, images, reconstruction):
        """Weigh the mean over the pixels, (n,)."""
        return 1000 * ops.mean(ops.square(images - reconstruction), axis=(1, 2, 3))


class SecondFoster(KerasExample):
    """The loss of the second edition: 500 times the mean cross-entropy of the pixels, plus the KL term."""

    def reconstruction_loss(self, images, reconstruction):
        """Weigh the mean over the pixels, (n,)."""
        return 500 * ops.mean(keras.losses.binary_crossentropy(images, reconstruction), axis=(1, 2))


def torch_example() -> Callable[[np.ndarray, int], None]:
    """Make PyTorch's VAE example in plain PyTorch: cross-entropy and KL term summed over the batch, Adam at 0.001.

    Returns:
        A function (images, batch_size) that trains once on all images, (n, 28, 28, 1), in a new order.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Example(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
            self.z_mean, self.z_log_var = nn.Linear(400, 20), nn.Linear(400, 20)
            self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid())

        def loss(self, images):
            hidden = self.hidden(images)
            z_mean, z_log_var = self.z_mean(hidden), self.z_log_var(hidden)
            z = z_mean + torch.exp(z_log_var / 2) * torch.randn_like(z_mean)
            kl_loss = -0.5 * torch.sum(1 + z_log_var - z_mean**2 - torch.exp(z_log_var))
            return functional.binary_cross_entropy(self.decoder(z), images, reduction="sum") + kl_loss

    model = Example()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train(images, batch_size):
        flat = torch.from_numpy(images.reshape(len(images), -1))
        for rows in torch.randperm(len(flat)).split(batch_size):
            optimizer.zero_grad()
            model.loss(flat[rows]).backward()
            optimizer.step()

    return train


def _convolutions(x, layer, sizes, activation):
    # A number is the slope of a LeakyReLU.
    for filters, strides in sizes:
        name = None if isinstance(activation, float) else activation
        x = layer(filters, 3, strides=strides, padding="same", activation=name)(x)
        if name is None:
            x = layers.LeakyReLU(activation)(x)
    return x


def _with_heads(image, x, latent_dim):
    z_mean, z_log_var = layers.Dense(latent_dim)(x), layers.Dense(latent_dim)(x)
    return keras.Model(image, [z_mean, z_log_var, Sampling()(z_mean, z_log_var)])
