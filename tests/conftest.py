"""Small images and networks that the tests share."""

import functools

import keras
import matplotlib
import numpy as np
import pytest

from vae_keras import VAE, Autoencoder, networks

matplotlib.use("Agg")

SHAPE = (8, 8, 1)


@pytest.fixture
def images():
    """Twenty grey images; the last four, which are the last batch of eight, are white and unlike the others."""
    x = np.random.default_rng(0).random((20, *SHAPE), dtype="float32")
    x[16:] = 1
    return x


def make(model, variational, seed=0, optimizer=None, compile_arguments=None, **arguments):
    encoder = networks.dense_encoder(SHAPE, hidden=(8,), variational=variational, seed=seed)
    decoder = networks.dense_decoder(SHAPE, hidden=(8,), seed=seed)
    # A bright decoder: white images cost less than the others, so that it shows which images a mean is over.
    decoder.weights[-1].assign(np.ones(64))
    model = model(encoder, decoder, **arguments)
    model.compile(optimizer=optimizer or keras.optimizers.SGD(0.01), **(compile_arguments or {}))
    return model


@pytest.fixture
def make_autoencoder():
    return functools.partial(make, Autoencoder, False)


@pytest.fixture
def make_vae():
    return functools.partial(make, VAE, True)


@pytest.fixture
def mixed_float16():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy(before)
